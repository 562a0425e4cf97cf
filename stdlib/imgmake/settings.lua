--- Settings of a whole project. Those of the Imagefile that is read first count.
local check = require "imgmake.check"
local engine = require "imgmake.engine"
local object = require "imgmake.object"
local settings = { values = {} }

---@class imgmake.Settings
---@field cache? string  repository of the remote cache; --cache and IMGMAKE_CACHE beat it

---@param context imgmake.Context
---@return table<string, function>
function settings.constructors(context)
  return {
    ---@param body imgmake.Settings
    settings = function(body)
      if type(body) ~= "table" then
        error("settings: expected { … }, got " .. object.describe(body))
      end
      local options, positional = check.options("settings", body, { cache = "string" })
      if #positional > 0 then
        error("settings: expected NAME = VALUE, got " .. object.describe(positional[1]))
      elseif context.has_settings then
        error("settings: there are some already, at " .. context.has_settings)
      end
      context.has_settings = ("%s:%d"):format(engine.place())
      if context.main then
        settings.values = options
      end
    end,
  }
end

return settings

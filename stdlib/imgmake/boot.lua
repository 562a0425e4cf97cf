--- The first module: gives the library its `require` and evaluates the Imagefile.
local engine, main = ...
local loaded = { ["imgmake.engine"] = engine }

--- Modules of the library share one environment, which recipes never see.
function require(name)
  if loaded[name] == nil then
    local chunk = engine.module(name, _ENV)
    assert(chunk, "no module '" .. name .. "' in the standard library")
    loaded[name] = chunk() or true
  end
  return loaded[name]
end

return require("imgmake.project").evaluate(main)

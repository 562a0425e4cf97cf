--- Packages of Alpine.
local check = require "imgmake.check"
local packages = require "imgmake.packages"
local apk = {}

-- What apk keeps is named by repository and content, so that all releases can share the directory.
local script = [[
apk add --no-progress --update-cache --cache-dir /var/cache/apk ${PACKAGES}
rm -f /var/log/apk.log
]]

---@class imgmake.ApkAdd
---@field [integer] string  packages: "curl", "curl=8.5.0-r0", "nodejs~20", "curl>8", "curl@edge"

---Installs packages of Alpine. Indexes and archives are kept in a cache and never in a layer.
---@param body string|imgmake.ApkAdd
---@return imgmake.Step
function apk.add(body)
  local _, items = check.options("apk.add", body, {})
  local name = "^[%w._][%w+._:-]*"
  local names = packages.words("apk.add", items, {
    name .. "$", name .. "[=~<>]=?~?[%w._-]+$", name .. "@[%w._-]+$",
  }, '"curl", "curl=8.5.0-r0", "nodejs~20" or "curl@edge"')
  return packages.step("apk.add " .. names, script, { PACKAGES = names }, {
    cache = { path = "/var/cache/apk", id = "apk", sharing = "locked" },
  })
end

return apk

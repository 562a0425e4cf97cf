--- Packages of Alpine.
local check = require "imgmake.check"
local packages = require "imgmake.packages"
local apk = {}

-- What apk keeps is named by repository and content, so that all releases can share the directory.
local script = [[
${SNAPSHOT}
apk add --no-progress --update-cache --cache-dir /var/cache/apk "$@" ${PACKAGES}
rm -f /var/log/apk.log
]]

-- Alpine keeps no archive of its mirrors, only the last build of each package in a release: what was there on a day
-- is where somebody kept it. Its own repositories are read there, others where they are; the index's signature is
-- Alpine's still.
local from_snapshot = [=[
cat /etc/apk/repositories /etc/apk/repositories.d/*.list /lib/apk/repositories.d/*.list 2>/dev/null | sed -E 's,https?://[a-z0-9.-]+\.alpinelinux\.org/alpine/,${ADDRESS}/,' >/var/cache/apk/repositories
grep -qF '${ADDRESS}/' /var/cache/apk/repositories || { echo 'apk.add: no repository of this image is on alpinelinux.org: there is no snapshot of it' >&2; exit 1; }
set -- --repositories-file /var/cache/apk/repositories]=]

---@class imgmake.ApkAdd
---@field [integer] string  packages: "curl", "curl=8.5.0-r0", "nodejs~20", "curl>8", "curl@edge"
---@field snapshot? string  a copy of Alpine's mirror as it was: "https://mirror.example.com/alpine-20260131"

---Installs packages of Alpine. Indexes and archives are kept in a cache and never in a layer.
---@param body string|imgmake.ApkAdd
---@return imgmake.Step
function apk.add(body)
  local o, items = check.options("apk.add", body, { snapshot = packages.address })
  local name = "^[%w._][%w+._:-]*"
  local names = packages.words("apk.add", items, {
    name .. "$", name .. "[=~<>]=?~?[%w._-]+$", name .. "@[%w._-]+$",
  }, '"curl", "curl=8.5.0-r0", "nodejs~20" or "curl@edge"')
  local whole = script:gsub("%${SNAPSHOT}", function()
    return o.snapshot and from_snapshot or ""
  end)
  return packages.step("apk.add " .. names, whole, { PACKAGES = names, ADDRESS = o.snapshot }, {
    cache = { path = "/var/cache/apk", id = "apk", sharing = "locked" },
  })
end

return apk

--- Packages of Fedora and what descends from it.
local check = require "imgmake.check"
local packages = require "imgmake.packages"
local dnf = {}

-- The three keep metadata and archives by repository and release. The logs go, the history stays: it is
-- where dnf knows from what was asked for.
local script = [[
dnf=$(command -v dnf || command -v microdnf || command -v yum)
"$dnf" -y install --setopt=install_weak_deps=${WEAK} --setopt=keepcache=1 ${PACKAGES}
rm -f /var/log/dnf.* /var/log/dnf5.log* /var/log/hawkey.log /var/log/yum.log /var/cache/ldconfig/aux-cache
]]

---@class imgmake.DnfInstall
---@field [integer] string     packages: "curl", "curl-8.6.0", "python3*", "@core", "nodejs:20", "/usr/bin/cc"
---@field recommends? boolean  what they recommend as well (weak dependencies)

---Installs packages with dnf, microdnf or yum. Metadata and archives are kept in a cache, never in a layer.
---@param body string|imgmake.DnfInstall
---@return imgmake.Step
function dnf.install(body)
  local o, items = check.options("dnf.install", body, { recommends = "boolean" })
  local names = packages.words("dnf.install", items, { "^[%w_@/*][%w_+.:*?^~@/()-]*$" },
    '"curl", "curl-8.6.0", "@core" or "/usr/bin/cc"')
  return packages.step("dnf.install " .. names, script, {
    PACKAGES = names, WEAK = o.recommends and "1" or "0",
  }, {
    cache = {
      { path = "/var/cache/dnf", id = "dnf", sharing = "locked" },
      { path = "/var/cache/libdnf5", id = "libdnf5", sharing = "locked" },
      { path = "/var/cache/yum", id = "yum", sharing = "locked" },
    },
  })
end

return dnf

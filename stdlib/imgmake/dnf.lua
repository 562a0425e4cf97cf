--- Packages of Fedora and what descends from it.
local check = require "imgmake.check"
local packages = require "imgmake.packages"
local dnf = {}

-- The three keep metadata and archives by repository and release. The logs go, the history stays: it is
-- where dnf knows from what was asked for.
local script = [[
dnf=$(command -v dnf || command -v microdnf || command -v yum)
"$dnf" -y install ${SOURCES} --setopt=install_weak_deps=${WEAK} --setopt=keepcache=1 ${PACKAGES}
rm -f /var/log/dnf.* /var/log/dnf5.log* /var/log/hawkey.log /var/log/yum.log /var/cache/ldconfig/aux-cache
]]

local function release(v)
  if type(v) == "string" and v:find("^%w[%w._-]*$") then
    return v
  end
  return nil, 'a release like "9.4" or "2023.6.20250115"'
end

--- Repository → address.
local function snapshot(v)
  local list, expected = check.convert(v, "map")
  if not list or next(list) == nil then
    return nil, list and "a table of addresses by repository, which is not empty" or expected
  end
  for name, address in pairs(list) do
    if not name:find("^[%w_][%w_.:-]*$") then
      return nil, ("a table of addresses by repository ('%s' is no name of one)"):format(name)
    end
    local clean, why = packages.address(address)
    if not clean then
      return nil, ("a table of addresses by repository; that of '%s' is not %s"):format(name, why)
    end
    list[name] = clean
  end
  return list
end

-- The repositories of the image stay what they are, with their keys, but for where they are; all others are left out.
local function sources(o)
  local words = {}
  if o.release then
    words[1] = "--releasever=" .. o.release
  end
  if o.snapshot then
    words[#words + 1] = "'--disablerepo=*'"
    for name, address in pairs(o.snapshot) do
      words[#words + 1] = "--enablerepo=" .. name
      words[#words + 1] = ("--setopt=%s.baseurl=%s --setopt=%s.mirrorlist= --setopt=%s.metalink=")
        :format(name, address, name, name)
    end
  end
  return table.concat(words, " ")
end

---@class imgmake.DnfInstall
---@field [integer] string     packages: "curl", "curl-8.6.0", "python3*", "@core", "nodejs:20", "/usr/bin/cc"
---@field recommends? boolean  what they recommend as well (weak dependencies)
---@field release? string      of the repositories, where those keep old ones: "9.4", "2023.6.20250115"
---@field snapshot? table<string, string>  repository → its address as it was; those not named are left out

---Installs packages with dnf, microdnf or yum. Metadata and archives are kept in a cache, never in a layer.
---@param body string|imgmake.DnfInstall
---@return imgmake.Step
function dnf.install(body)
  local o, items = check.options("dnf.install", body, {
    recommends = "boolean", release = release, snapshot = snapshot,
  })
  local names = packages.words("dnf.install", items, { "^[%w_@/*][%w_+.:*?^~@/()-]*$" },
    '"curl", "curl-8.6.0", "@core" or "/usr/bin/cc"')
  return packages.step("dnf.install " .. names, script, {
    PACKAGES = names, SOURCES = sources(o), WEAK = o.recommends and "1" or "0",
  }, {
    cache = {
      { path = "/var/cache/dnf", id = "dnf", sharing = "locked" },
      { path = "/var/cache/libdnf5", id = "libdnf5", sharing = "locked" },
      { path = "/var/cache/yum", id = "yum", sharing = "locked" },
    },
  })
end

return dnf

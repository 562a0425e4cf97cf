--- Packages of Debian and what descends from it.
local check = require "imgmake.check"
local packages = require "imgmake.packages"
local sources = require "imgmake.apt_sources"
local apt = {}

-- What differs between two builds of the same is not written (logs) or taken away (*-old, machine ids,
-- ldconfig's inode numbers). Daemons are not started.
local script = [[
policy= id= dbus=
[ -e /usr/sbin/policy-rc.d ] || { policy=new; printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d; }
[ -s /etc/machine-id ] || id=new
[ -e /var/lib/dbus/machine-id ] || dbus=new
apt-get "$@" ${RECOMMENDS} install ${PACKAGES}
[ -z "$policy" ] || rm -f /usr/sbin/policy-rc.d
[ -z "$id" ] || [ ! -s /etc/machine-id ] || : >/etc/machine-id
[ -z "$dbus" ] || [ -L /var/lib/dbus/machine-id ] || rm -f /var/lib/dbus/machine-id
rm -f /var/log/alternatives.log /var/cache/ldconfig/aux-cache /var/cache/debconf/*-old /var/lib/dpkg/*-old
]]

---@class imgmake.AptInstall
---@field [integer] string     packages: "hello", "hello:arm64", "hello=2.10-3", "nodejs=20.*", "hello/bookworm"
---@field recommends? boolean  what they recommend as well
---@field snapshot? string     from Debian's archive as it was, "20260131" or "20260131T120000Z"

---Installs packages of Debian or Ubuntu. Lists and archives are kept in a cache and never in a layer.
---@param body string|imgmake.AptInstall
---@return imgmake.Step
function apt.install(body)
  local o, items = check.options("apt.install", body, { recommends = "boolean", snapshot = sources.snapshot })
  local name, architecture = "^[a-z0-9][a-z0-9+.-]*[a-z0-9+.]", "^[a-z0-9][a-z0-9+.-]*:[a-z0-9-]*[a-z0-9]"
  local names = packages.words("apt.install", items, {
    name .. "$", architecture .. "$",
    name .. "=[%w.+~:*-]+$", architecture .. "=[%w.+~:*-]+$",
    name .. "/[%w._-]+$", architecture .. "/[%w._-]+$",
  }, '"hello", "hello:arm64", "hello=2.10-3" or "hello/bookworm"')
  return packages.step("apt.install " .. names, sources.script(o.snapshot) .. script, {
    PACKAGES = names,
    RECOMMENDS = o.recommends and "--install-recommends" or "--no-install-recommends",
    TIME = o.snapshot,
  }, {
    env = sources.env,
    cache = sources.cache,
  })
end

return apt

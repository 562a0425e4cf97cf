--- Packages of Debian and what descends from it.
local check = require "imgmake.check"
local packages = require "imgmake.packages"
local apt = {}

-- Lists and archives are in a directory of a cache, one for each set of sources: apt deletes the lists of
-- sources that are not its own, and tells archives apart by name and size only. APT::Sandbox::User is root
-- since the step's user namespace may know no other. What differs between two builds of the same is not
-- written (logs) or taken away (*-old, machine ids, ldconfig's inode numbers). Daemons are not started. dpkg
-- insists on sbin, which an image's PATH need not have.
local script = [[
PATH=$PATH:/usr/sbin:/sbin
cache=/var/cache/apt/$({ cat /etc/os-release /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null; dpkg --print-architecture; } | sha256sum | cut -c1-32)
rm -rf "$cache/log"
mkdir -p "$cache/archives/partial" "$cache/lists/partial" "$cache/log"
set -- -q -y -o APT::Sandbox::User=root -o Acquire::Retries=3 -o Acquire::Languages=none -o APT::Update::Error-Mode=any
set -- "$@" -o Dir::Cache="$cache" -o Dir::State::lists="$cache/lists" -o Dir::Log="$cache/log" -o APT::Keep-Downloaded-Packages=true
set -- "$@" -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--log=/dev/null -o Dpkg::Options::=--force-unsafe-io -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold
${SNAPSHOT}
apt-get "$@" update
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

-- Debian's own sources as they were; others stay as they are.
local from_snapshot = [=[
rm -rf "$cache/etc"; mkdir -p "$cache/etc/sources.list.d"
for f in sources.list $(cd /etc/apt && ls -d sources.list.d/*.list sources.list.d/*.sources 2>/dev/null || true); do [ ! -e "/etc/apt/$f" ] || sed -E 's,https?://[a-z0-9.-]+\.debian\.org/(debian|debian-security)/?([[:space:]]|$),http://snapshot.debian.org/archive/\1/${TIME}/\2,g' "/etc/apt/$f" >"$cache/etc/$f"; done
grep -rq 'snapshot\.debian\.org/archive/.*/${TIME}/' "$cache/etc" || { echo 'apt.install: no source of this image is on debian.org: there is no snapshot of it' >&2; exit 1; }
set -- "$@" -o Dir::Etc::SourceList="$cache/etc/sources.list" -o Dir::Etc::SourceParts="$cache/etc/sources.list.d" -o Acquire::Check-Valid-Until=false]=]

local function snapshot(v)
  local day, time = (type(v) == "string" and v or ""):match("^(%d%d%d%d%d%d%d%d)(.*)$")
  if day and (time == "" or time:find("^T%d%d%d%d%d%dZ$")) then
    return day .. (time == "" and "T000000Z" or time)
  end
  return nil, 'a time like "20260131" or "20260131T120000Z"'
end

---@class imgmake.AptInstall
---@field [integer] string     packages: "hello", "hello:arm64", "hello=2.10-3", "nodejs=20.*", "hello/bookworm"
---@field recommends? boolean  what they recommend as well
---@field snapshot? string     from Debian's archive as it was, "20260131" or "20260131T120000Z"

---Installs packages of Debian or Ubuntu. Lists and archives are kept in a cache and never in a layer.
---@param body string|imgmake.AptInstall
---@return imgmake.Step
function apt.install(body)
  local o, items = check.options("apt.install", body, { recommends = "boolean", snapshot = snapshot })
  local name, architecture = "^[a-z0-9][a-z0-9+.-]*[a-z0-9+.]", "^[a-z0-9][a-z0-9+.-]*:[a-z0-9-]*[a-z0-9]"
  local names = packages.words("apt.install", items, {
    name .. "$", architecture .. "$",
    name .. "=[%w.+~:*-]+$", architecture .. "=[%w.+~:*-]+$",
    name .. "/[%w._-]+$", architecture .. "/[%w._-]+$",
  }, '"hello", "hello:arm64", "hello=2.10-3" or "hello/bookworm"')
  return packages.step("apt.install " .. names, (script:gsub("%${SNAPSHOT}", function()
    return o.snapshot and from_snapshot or ""
  end)), {
    PACKAGES = names,
    RECOMMENDS = o.recommends and "--install-recommends" or "--no-install-recommends",
    TIME = o.snapshot,
  }, {
    env = { DEBIAN_FRONTEND = "noninteractive", LC_ALL = "C.UTF-8" },
    cache = { path = "/var/cache/apt", id = "apt", sharing = "locked" },
  })
end

return apt

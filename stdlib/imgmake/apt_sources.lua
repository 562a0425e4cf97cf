--- What every use of apt begins with: sources, options in "$@", and fresh lists.
local sources = {}

-- Lists and archives are in a directory of a cache, one for each set of sources: apt deletes the lists of
-- sources that are not its own, and tells archives apart by name and size only. APT::Sandbox::User is root
-- since the step's user namespace may know no other. dpkg insists on sbin, which an image's PATH need not have.
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
]]

-- Debian's own sources as they were; others stay as they are.
local from_snapshot = [=[
rm -rf "$cache/etc"; mkdir -p "$cache/etc/sources.list.d"
for f in sources.list $(cd /etc/apt && ls -d sources.list.d/*.list sources.list.d/*.sources 2>/dev/null || true); do [ ! -e "/etc/apt/$f" ] || sed -E 's,https?://[a-z0-9.-]+\.debian\.org/(debian|debian-security)/?([[:space:]]|$),http://snapshot.debian.org/archive/\1/${TIME}/\2,g' "/etc/apt/$f" >"$cache/etc/$f"; done
grep -rq 'snapshot\.debian\.org/archive/.*/${TIME}/' "$cache/etc" || { echo 'apt.install: no source of this image is on debian.org: there is no snapshot of it' >&2; exit 1; }
set -- "$@" -o Dir::Etc::SourceList="$cache/etc/sources.list" -o Dir::Etc::SourceParts="$cache/etc/sources.list.d" -o Acquire::Check-Valid-Until=false]=]

--- A type of options.
function sources.snapshot(v)
  local day, time = (type(v) == "string" and v or ""):match("^(%d%d%d%d%d%d%d%d)(.*)$")
  if day and (time == "" or time:find("^T%d%d%d%d%d%dZ$")) then
    return day .. (time == "" and "T000000Z" or time)
  end
  return nil, 'a time like "20260131" or "20260131T120000Z"'
end

--- The script's beginning; "${TIME}" in it is the snapshot.
---@param snapshot? string
---@return string
function sources.script(snapshot)
  return (script:gsub("%${SNAPSHOT}", function()
    return snapshot and from_snapshot or ""
  end))
end

sources.cache = { path = "/var/cache/apt", id = "apt", sharing = "locked" }
sources.env = { DEBIAN_FRONTEND = "noninteractive", LC_ALL = "C.UTF-8" }

return sources

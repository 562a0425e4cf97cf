--- Bases from Debian's packages.
local check = require "imgmake.check"
local language = require "imgmake.language"
local sources = require "imgmake.apt_sources"
local step = require "imgmake.step"
local target = require "imgmake.target"

local variants = {
  essential = true, apt = true, minbase = true, required = true, important = true,
  standard = true,
}

local function suite(v)
  if type(v) == "string" and v:find("^[%l][%l%d.-]*$") then
    return v
  end
  return nil, 'a release like "bookworm" or "stable"'
end

local function package(v)
  return type(v) == "string" and v:find("^[a-z0-9][a-z0-9+.:=~-]*$") ~= nil
end

local function packages(v, who)
  local list, expected = check.convert(v, "names", who)
  for _, name in ipairs(list or {}) do
    if not package(name) then
      return nil, ("a list of names of packages ('%s' is none)"):format(name)
    end
  end
  return list, expected
end

local function mirror(v)
  if type(v) == "string" and v:find("^https?://[^%s'\"]+$") then
    return v
  end
  return nil, 'an address like "http://deb.debian.org/debian"'
end

local function components(v, who)
  local list, expected = check.convert(v, "names", who)
  for _, name in ipairs(list or {}) do
    if not name:find("^[%l][%l-]*$") then
      return nil, 'a list like { "main", "contrib" }'
    end
  end
  return list, expected
end

--- As sources.list has it: the image keeps it.
local function source(o)
  local address = o.mirror or "http://deb.debian.org/debian"
  local option = ""
  if o.snapshot then
    address, option = "http://snapshot.debian.org/archive/debian/" .. o.snapshot, "[check-valid-until=no] "
  end
  return ("deb %s%s %s %s"):format(option, address, o.suite, table.concat(o.components or { "main" }, " "))
end

-- mmdebstrap takes root where it is, else the ids of /etc/subuid, else fakechroot. The host's name and resolver
-- are not the image's, and with the epoch two runs give the same bytes.
local function command(o, output)
  local words = {
    "mmdebstrap", "--quiet", "--format=tar", "--variant=" .. o.variant, "--skip=output/dev",
    '--customize-hook=rm -f "$1/etc/resolv.conf" "$1/etc/hostname"',
  }
  if #(o.packages or {}) > 0 then
    words[#words + 1] = "--include=" .. table.concat(o.packages, ",")
  end
  for _, word in ipairs { o.suite, output .. ".new", source(o) } do
    words[#words + 1] = word
  end
  return language.words(words)
end

---@param context imgmake.Context  one Imagefile
return function(context)
  local debian = {}

  ---@class imgmake.DebianRootfs
  ---@field suite? string               "bookworm" by default
  ---@field packages? string|string[]   beside those of the variant
  ---@field variant? "essential"|"apt"|"minbase"|"required"|"important"|"standard"  "apt" by default
  ---@field mirror? string              "http://deb.debian.org/debian" by default
  ---@field components? string|string[] { "main" } by default
  ---@field snapshot? string            from the archive as it was, "20260131" or "20260131T120000Z"
  ---@field name? string                of the stage, "debian" by default; its archive is build/NAME.tar
  ---@field deps? string|string[]       files of the project after whose change it is made anew

  ---A base from Debian's packages, to be used as `from`: a rule on the host makes an archive with mmdebstrap,
  ---which needs no root, and a stage unpacks it.
  ---@param body? imgmake.DebianRootfs
  ---@return imgmake.Target
  function debian.rootfs(body)
    local o, items = check.options("debian.rootfs", body or {}, {
      suite = suite, packages = packages, mirror = mirror, components = components, snapshot = sources.snapshot,
      name = "name", deps = "names",
      variant = function(v)
        return variants[v] and v or nil,
          'one of "essential", "apt", "minbase", "required", "important", "standard"'
      end,
    })
    if #items > 0 then
      error('debian.rootfs: every entry has a name, as suite = "bookworm"')
    end
    if o.mirror and o.snapshot then
      error("debian.rootfs: 'snapshot' has a mirror of its own; leave out one of the two")
    end
    o.suite, o.variant, o.name = o.suite or "bookworm", o.variant or "apt", o.name or "debian"
    local output = "build/" .. o.name .. ".tar"
    local make = target.constructors(context)
    local archive = make.file(output) {
      deps = o.deps,
      run = {
        "mkdir -p build",
        "export SOURCE_DATE_EPOCH=315619200",
        "rm -f " .. language.quote(output .. ".new"),
        command(o, output),
        ("mv %s %s"):format(language.quote(output .. ".new"), language.quote(output)),
      },
    }
    return make.stage(o.name) {
      from = "scratch",
      step.unpack { archive, to = "/" },
      step.env { PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
      step.config { cmd = { "bash" } },
    }
  end

  return debian
end

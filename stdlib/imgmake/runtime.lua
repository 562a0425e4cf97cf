--- Bases that only run things.
local account = require "imgmake.account"
local check = require "imgmake.check"
local language = require "imgmake.language"
local packages = require "imgmake.packages"
local sources = require "imgmake.apt_sources"
local step = require "imgmake.step"
local target = require "imgmake.target"

local base_files = { "base-files", "netbase", "tzdata", "ca-certificates" }
local kinds = {
  static = base_files,
  cc = { "base-files", "netbase", "tzdata", "ca-certificates", "libc6", "libgcc-s1", "libstdc++6" },
}

-- Packages are taken apart, not installed: their scripts would need a shell and more. What ca-certificates' would
-- do is done here. The links of a merged /usr come first, and tar leaves them alone.
local script = [[
rm -rf "$cache/distroless"
mkdir -p "$cache/distroless" /rootfs/usr/bin /rootfs/usr/lib /rootfs/usr/sbin /rootfs/usr/lib64 /rootfs/var/lib/dpkg/status.d /rootfs/etc/ssl/certs
for d in bin lib lib64 sbin; do ln -s usr/$d /rootfs/$d; done
cd "$cache/distroless"
apt-get "$@" download ${PACKAGES}
for f in *.deb; do dpkg-deb --fsys-tarfile "$f" | tar -x --keep-directory-symlink -C /rootfs; dpkg-deb -f "$f" >"/rootfs/var/lib/dpkg/status.d/${f%%_*}"; done
cd /
rm -rf "$cache/distroless" /rootfs/usr/share/man /rootfs/usr/share/locale /rootfs/usr/share/lintian /rootfs/usr/share/info
find /rootfs/usr/share/doc -type f ! -name copyright -delete
find /rootfs/usr/share/doc -type d -empty -delete
LC_ALL=C; cat /rootfs/usr/share/ca-certificates/*/*.crt >/rootfs/etc/ssl/certs/ca-certificates.crt
]]

---@param context imgmake.Context  one Imagefile
return function(context)
  local runtime = {}

  ---@class imgmake.Distroless
  ---@field from imgmake.Target         Debian or what descends from it, with apt: packages come from its sources
  ---@field packages? string|string[]   more, as "libssl3"; what they need is not looked for
  ---@field kind? "static"|"cc"         certificates, time zones and the like, or the C and C++ libraries too ("cc")
  ---@field snapshot? string            from Debian's archive as it was, "20260131" or "20260131T120000Z"
  ---@field name? string                of the stage, "distroless" by default

  ---A base of the files of a few packages, without shell and package manager, to be used as `from`. Its user is
  ---nonroot, 65532.
  ---@param body imgmake.Distroless
  ---@return imgmake.Target
  function runtime.distroless(body)
    local who = "runtime.distroless"
    local o, items = check.options(who, body, {
      from = language.file_system, packages = "names", kind = check.choice("static", "cc"),
      snapshot = sources.snapshot, name = "name",
    })
    language.no_items(who, items)
    check.need(who, o, "from")
    local name, names = o.name or "distroless", { table.unpack(kinds[o.kind or "cc"]) }
    for _, package in ipairs(o.packages or {}) do
      names[#names + 1] = package
    end
    local words = packages.words(who, names, { "^[a-z0-9][a-z0-9+.-]*[a-z0-9+.]$" }, '"libssl3"')
    local taken = language.stage(context, who, name, "packages", {
      from = o.from,
      packages.step(who .. " " .. words, sources.script(o.snapshot) .. script,
        { PACKAGES = words, TIME = o.snapshot }, { env = sources.env, cache = sources.cache }),
    })
    return target.constructors(context).stage(name) {
      from = "scratch",
      step.copy { "/rootfs", from = taken, to = "/" },
      step.layer {
        step.write { "/etc/passwd", "root:x:0:0:root:/root:/sbin/nologin\n"
          .. "nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n" },
        step.write { "/etc/group", "root:x:0:\ntty:x:5:\nstaff:x:50:\nnogroup:x:65534:\n" },
        account.add { "nonroot", uid = 65532, shell = "/sbin/nologin" },
      },
      step.env { PATH = "/usr/local/bin:/usr/bin:/bin", SSL_CERT_FILE = "/etc/ssl/certs/ca-certificates.crt" },
      step.user "65532:65532",
    }
  end

  return runtime
end

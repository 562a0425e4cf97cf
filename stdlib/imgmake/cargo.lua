--- Rust packages with a Cargo.lock: dependencies first, code second, and a program without the tool chain.
local check = require "imgmake.check"
local language = require "imgmake.language"
local step = require "imgmake.step"

local SOURCE, TARGET, HOME, OUT = "/imgmake/cargo", "/imgmake/target", "/imgmake/cargo-home", "/imgmake/out"
local manifests = { "Cargo.toml", "Cargo.lock", "rust-toolchain", "rust-toolchain.toml", ".cargo/config.toml" }

--- What is downloaded is kept for all projects of this machine; cargo checks it against Cargo.lock.
local cache = { path = HOME .. "/registry/cache", id = "cargo" }

local environment = {
  CARGO_HOME = HOME, CARGO_TARGET_DIR = TARGET, CARGO_INCREMENTAL = "0", CARGO_TERM_PROGRESS_WHEN = "never",
}

-- Dependencies are compiled with stand-ins for the code, for every program and library that a manifest names or
-- cargo would look for (packages with a checksum are whole: vendored ones). What came of the stand-ins goes: cargo tells fresh from stale by times, and all files of a
-- layer have the same one.
local stand_ins = [=[
mkdir -p ${TARGET}
find . -name Cargo.toml | LC_ALL=C sort | while read -r toml; do
  [ -e "$(dirname "$toml")/.cargo-checksum.json" ] || echo "$toml"
done >/imgmake/packages
sources() {
  printf 'src/main.rs\nsrc/lib.rs\n'
  awk -F'"' '
    /^[[:space:]]*\[/ { section = $0; gsub(/[][[:space:]]/, "", section) }
    /^[[:space:]]*\[(.*\.)?build-dependencies/ { print "build.rs" }
    section ~ /^(lib|bin|example|test|bench|package)$/ && /^[[:space:]]*(path|build)[[:space:]]*=[[:space:]]*"/ { print $2 }
    /^[[:space:]]*name[[:space:]]*=/ { if (section == "package") package = $2; else if (section == "bin" && $2 != package) print "src/bin/" $2 ".rs" }
  ' "$1"
}
while read -r toml; do
  sources "$toml" | while read -r f; do
    f=$(dirname "$toml")/$f
    [ -e "$f" ] || { mkdir -p "$(dirname "$f")"; echo 'fn main() {}' >"$f"; echo "$f" >>/imgmake/stand-ins; }
  done
done </imgmake/packages
cargo fetch --locked
${BUILD} || echo 'cargo.build: not all dependencies could be compiled before the code' >&2
while read -r toml; do
  name=$(awk -F'"' '/^[[:space:]]*\[/ { section = $0 } section ~ /^\[package\]/ && /^[[:space:]]*name[[:space:]]*=/ { print $2; exit }' "$toml")
  [ -z "$name" ] || find ${TARGET} -path "*/.fingerprint/$name-*" -prune -exec rm -rf {} +
done </imgmake/packages
find ${TARGET} -mindepth 2 -maxdepth 2 -type f -delete
tr '\n' '\0' </imgmake/stand-ins | xargs -0r rm -f
rm -f /imgmake/packages /imgmake/stand-ins]=]

--- Sources are newer than what was compiled from stand-ins, whatever their times in the layer are.
local sources_are_new = "find . -name '*.rs' -exec touch {} +"

local function command(o, bins)
  local words = { "cargo", "build", "--frozen", "--profile=" .. (o.profile or "release") }
  for _, name in ipairs(bins or {}) do
    words[#words + 1] = "--bin=" .. name
  end
  for _, name in ipairs(o.packages or {}) do
    words[#words + 1] = "--package=" .. name
  end
  if o.features then
    words[#words + 1] = "--features=" .. table.concat(o.features, ",")
  end
  if o.default_features == false then
    words[#words + 1] = "--no-default-features"
  end
  return language.words(words)
end

--- Lines of a script with the values in place of "${NAME}".
local function lines(script, values)
  local out = {}
  for line in script:gmatch("[^\n]+") do
    out[#out + 1] = line:gsub("%${(%u+)}", values)
  end
  return out
end

--- Programs are what is executable at the top of the profile's directory.
local function collect(o)
  local dir = TARGET .. "/" .. ((o.profile or "release") == "dev" and "debug" or o.profile or "release")
  return {
    "mkdir -p " .. OUT,
    ("find %s -mindepth 1 -maxdepth 1 -type f -perm -100 ! -name '*.so' ! -name '*.d' -exec cp {} %s/ ';'"):format(
      language.quote(dir), OUT),
    ("[ -n \"$(ls %s)\" ] || { echo 'cargo.build: the package has no program' >&2; exit 1; }"):format(OUT),
  }
end

---@param context imgmake.Context  one Imagefile
return function(context)
  local cargo = {}

  ---@class imgmake.CargoBuild
  ---@field from imgmake.Target          what has Rust and a linker; the image needs the C library alone
  ---@field source? string               directory of Cargo.toml and Cargo.lock; that of the Imagefile by default
  ---@field bins? string|string[]        programs; all by default
  ---@field packages? string|string[]    packages of a workspace; its default ones otherwise
  ---@field features? string|string[]
  ---@field default_features? boolean    false: without them
  ---@field profile? string              "release" by default
  ---@field to? string                   directory of the programs in the image, "/usr/local/bin" by default
  ---@field files? string|string[]       other files that dependencies need: "*/Cargo.toml" of a workspace, "vendor/**"
  ---@field exclude? string|string[]     of the code, beside target
  ---@field env? table<string, string>   RUSTFLAGS, CARGO_REGISTRIES_… and the like
  ---@field secret? (string|imgmake.Secret)[]
  ---@field ssh? boolean
  ---@field network? "host"|"none"|"private"
  ---@field name? string                 of the stages, "cargo" by default: cargo-dependencies and cargo-build

  ---Programs of a Rust package or workspace: what Cargo.lock names is compiled in one stage, the code in another,
  ---and the image gets the programs alone. A changed line of code compiles no dependency, on a fresh machine with
  ---a remote cache neither.
  ---@param body imgmake.CargoBuild
  ---@return imgmake.Step
  function cargo.build(body)
    local o, items = check.options("cargo.build", body, language.spec {
      from = language.file_system, source = "name", bins = "names", packages = "names", features = "names",
      default_features = "boolean", profile = "name", to = language.absolute, files = "names", exclude = "names",
      name = "name",
    })
    language.no_items("cargo.build", items)
    check.need("cargo.build", o, "from")
    o.source, o.name = o.source or ".", o.name or "cargo"
    local build = command(o, o.bins)
    local dependencies = language.stage(context, "cargo.build", o.name, "dependencies", {
      from = o.from,
      language.manifests(o.source, SOURCE, language.with(manifests, o.files)),
      language.run(o, { "# cargo.build: dependencies", table.unpack(lines(stand_ins, { BUILD = command(o), TARGET = TARGET })) },
        language.merged(environment), { workdir = SOURCE, cache = cache }),
    })
    local built = language.stage(context, "cargo.build", o.name, "build", {
      from = dependencies,
      step.copy { o.source, to = SOURCE .. "/", exclude = language.with({ "target" }, o.exclude) },
      language.run(o, { "# " .. build, sources_are_new, build, table.unpack(collect(o)) },
        language.merged(environment), { workdir = SOURCE }),
    })
    return step.copy { OUT, from = built, to = (o.to or "/usr/local/bin") .. "/" }
  end

  return cargo
end

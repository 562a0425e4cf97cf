--- Java projects with a pom.xml: dependencies first, code second, and what runs without Maven and compilers.
local check = require "imgmake.check"
local language = require "imgmake.language"
local step = require "imgmake.step"

local SOURCE, REPOSITORY = "/imgmake/maven", "/imgmake/repository"
local manifests = { "pom.xml", ".mvn/**" }

--- The repository is in a layer of the stage: a fresh machine gets it with the remote cache, and no two steps
--- write it at once.
local function command(o, more)
  local words = { "mvn", "--batch-mode", "--no-transfer-progress", "-Dmaven.repo.local=" .. REPOSITORY }
  if o.settings then
    words[#words + 1] = "--settings=" .. o.settings
  end
  for _, profile in ipairs(o.profiles or {}) do
    words[#words + 1] = "--activate-profiles=" .. profile
  end
  if not o.tests then
    words[#words + 1] = "-DskipTests"
  end
  return language.words(language.with(language.with(words, more), o.goals or { "package" }))
end

local function run(o, lines)
  return language.run(o, lines, {}, { workdir = SOURCE, inputs = o.settings })
end

---@param context imgmake.Context  one Imagefile
return function(context)
  local maven = {}

  ---@class imgmake.MavenBuild
  ---@field from imgmake.Target       what has a JDK and Maven; the image needs a Java runtime alone
  ---@field source? string            directory of pom.xml; that of the Imagefile by default
  ---@field goals? string|string[]    "package" by default
  ---@field profiles? string|string[] of the pom
  ---@field tests? boolean            true: they run, and the build fails where they do
  ---@field settings? string          a file of the project, as settings.xml; one with passwords is a secret instead
  ---@field output? string|string[]   what is taken, relative to pom.xml: "target/*.jar" by default
  ---@field to? string                where that goes, "/app" by default
  ---@field files? string|string[]    other files that dependencies need: "*/pom.xml" of modules
  ---@field exclude? string|string[]  of the code, beside target
  ---@field env? table<string, string> MAVEN_OPTS and the like
  ---@field secret? (string|imgmake.Secret)[]  as { id = "settings", path = "/root/.m2/settings.xml" }
  ---@field ssh? boolean
  ---@field network? "host"|"none"|"private"
  ---@field name? string              of the stages, "maven" by default: maven-dependencies and maven-build

  ---A Java application: what pom.xml names is downloaded in one stage, by the same goals without code, then the
  ---code is built in another, and the image gets what came of it.
  ---@param body imgmake.MavenBuild
  ---@return imgmake.Step
  function maven.build(body)
    local o, items = check.options("maven.build", body, language.spec {
      from = language.file_system, source = "name", goals = "names", profiles = "names", tests = "boolean",
      settings = "name", output = "names", to = language.absolute, files = "names", exclude = "names", name = "name",
    })
    language.no_items("maven.build", items)
    check.need("maven.build", o, "from")
    o.source, o.name = o.source or ".", o.name or "maven"
    local dependencies = language.stage(context, "maven.build", o.name, "dependencies", {
      from = o.from,
      language.manifests(o.source, SOURCE, language.with(manifests, o.files)),
      run(o, {
        "# maven.build: dependencies",
        command(o, { "--fail-never" }),
        "find . -name target -type d -prune -exec rm -rf {} +",
      }),
    })
    local build = language.stage(context, "maven.build", o.name, "build", {
      from = dependencies,
      step.copy { o.source, to = SOURCE .. "/", exclude = language.with({ "**/target" }, o.exclude) },
      run(o, { "# maven.build", command(o) }),
    })
    local outputs = {}
    for i, path in ipairs(o.output or { "target/*.jar" }) do
      outputs[i] = SOURCE .. "/" .. path
    end
    outputs.from, outputs.to = build, (o.to or "/app") .. "/"
    return step.copy(outputs)
  end

  return maven
end

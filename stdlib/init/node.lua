-- @NAME@: a Node application. Dependencies first, code second: a changed line of code installs nothing, and
-- the image has neither npm nor development dependencies.
--
--   imgmake                         builds it
--   imgmake deploy VERSION=1.2.3    pushes it, as 1.2.3, 1.2, 1 and latest
--   imgmake run @NAME@

local version = var { "VERSION", default = git.version(), help = "release to publish" }

image "@NAME@" {
  from = base "docker.io/library/node:20-slim",
  npm.build {
    from = base "docker.io/library/node:20",@BUILD@
  },
  user "65534:65534",
  config { cmd = { "node", "@MAIN@" } },
  publish = { "@REPOSITORY@", version = version },
}

-- @NAME@: a Python application. Dependencies first, code second: a changed line of code installs nothing, and
-- the image has neither pip nor compilers.
--
--   imgmake                         builds it
--   imgmake deploy VERSION=1.2.3    pushes it, as 1.2.3, 1.2, 1 and latest
--   imgmake run @NAME@

local version = var { "VERSION", default = git.version(), help = "release to publish" }
local python = base "docker.io/library/python:3.12-slim"

image "@NAME@" {
  from = python,
  pip.build { from = python, source = "@SOURCE@" },
  account.add { "app", home = false },
  user "app",
  config { cmd = { "python3", "@MAIN@" } },
  publish = { "@REPOSITORY@", version = version },
}

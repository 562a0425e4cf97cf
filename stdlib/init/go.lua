-- @NAME@: a Go program, static, in an empty image. Modules first, code second: a changed line of code downloads
-- nothing.
--
--   imgmake                         builds it
--   imgmake deploy VERSION=1.2.3    pushes it, as 1.2.3, 1.2, 1 and latest
--   imgmake run @NAME@

local version = var { "VERSION", default = git.version(), help = "release to publish" }

image "@NAME@" {
  from = "scratch",
  go.build {
    from = base "docker.io/library/golang:1.22",
    packages = "@MAIN@",
    to = "/bin",
    ldflags = "-s -w",
    exclude = "**/*_test.go",
  },
  user "65534:65534",
  config { entrypoint = { "/bin/@PROGRAM@" } },
  publish = { "@REPOSITORY@", version = version },
}

-- @NAME@: files that a web server gives out, on port 8080, not as root.
--
--   imgmake                         builds it
--   imgmake deploy VERSION=1.2.3    pushes it, as 1.2.3, 1.2, 1 and latest
--   imgmake run @NAME@

local version = var { "VERSION", default = git.version(), help = "release to publish" }

image "@NAME@" {
  from = base "docker.io/library/busybox:1",
  -- Equal content has an equal time: browsers keep what did not change.
  copy { "@SOURCE@", to = "/srv/www/", mtime = "content" },
  user "65534:65534",
  config { cmd = { "httpd", "-f", "-p", "8080", "-h", "/srv/www" }, expose = { 8080 } },
  publish = { "@REPOSITORY@", version = version },
}

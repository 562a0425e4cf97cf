-- @NAME@: a Java application. Dependencies first, code second: a changed line of code downloads nothing, and the
-- image has neither Maven nor a compiler.
--
--   imgmake                         builds it
--   imgmake deploy VERSION=1.2.3    pushes it, as 1.2.3, 1.2, 1 and latest
--   imgmake run @NAME@

local version = var { "VERSION", default = git.version(), help = "release to publish" }

image "@NAME@" {
  from = base "docker.io/library/eclipse-temurin:17-jre",
  maven.build {
    from = base "docker.io/library/maven:3-eclipse-temurin-17",
    output = "target/*.jar",
  },
  user "65534:65534",
  -- A jar that names its main class; for one with libraries beside it: java -cp '/app/*' com.example.Main
  config { cmd = { "sh", "-c", "exec java -jar /app/*.jar" } },
  publish = { "@REPOSITORY@", version = version },
}

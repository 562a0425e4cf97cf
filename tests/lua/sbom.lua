-- sbom: what it takes. What it makes is tested with real images.

local function fails(f, expected)
  local ok, message = pcall(f)
  message = ok and "no error" or message:gsub("^[^:]*%.lua:%d+: ", "")
  if message ~= expected then
    error("expected: " .. expected .. "\ngot: " .. message, 2)
  end
end

local one = image "one" { from = "scratch" }
local arm = image "arm" { from = "scratch", platforms = { "linux/arm64" } }
local two = image "two" { from = "scratch", platforms = { "linux/amd64", "linux/arm64" } }

assert(tostring(sbom "build/one.json" { image = one }):find("one.json", 1, true))
sbom "arm.json" { image = arm }
sbom "two.json" { image = two, platform = "linux/arm64" }
sbom "amd.json" { image = two, platform = "linux/amd64" }

fails(function() sbom "a.json" {} end, "sbom 'a.json': 'image' is missing")
fails(function() sbom "b.json" { image = stage "s" { from = "scratch" } } end,
  "sbom 'b.json': 'image' must be an image, not stage 's'")
fails(function() sbom "c.json" { imag = one } end, "sbom 'c.json': unknown option 'imag', did you mean 'image'?")
fails(function() sbom "d.json" { one } end,
  "sbom 'd.json': every entry has a name, as image = …; this one is image 'one'")
fails(function() sbom "e.json" { image = two } end,
  "sbom 'e.json': image 'two' is made for several platforms; say which, as platform = \"linux/amd64\"")
fails(function() sbom "f.json" { image = one, platform = 3 } end,
  'sbom \'f.json\': \'platform\' must be a platform like "linux/arm64", not the number 3')
fails(function() sbom "../g.json" { image = one } end,
  "sbom: 'the name' must be a path below the Imagefile's directory, not the string '../g.json'")
fails(function() sbom "h/" { image = one } end, "sbom 'h/': it is one file; leave out the '/' at the end")
fails(function() sbom("i.json", { image = one }) end, 'sbom: expected sbom "i.json" { … }')
fails(function() sbom "build/one.json" { image = one } end,
  "file 'build/one.json': the name is taken by the file of tests/lua/sbom.lua:15")
fails(function() image "j" { from = "scratch", publish = { "localhost/x", tags = "1", sbom = "yes" } } end,
  "publish: 'sbom' must be true or false, not the string 'yes'")

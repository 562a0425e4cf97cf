-- tags: which arguments they take. What services say is tested with their environments.

local function fails(f, expected)
  local ok, message = pcall(f)
  message = ok and "no error" or message:gsub("^[^:]*%.lua:%d+: ", "")
  if message ~= expected then
    error("expected: " .. expected .. "\ngot: " .. message, 2)
  end
end

for text, tag in pairs {
  main = "main", ["feature/Log in"] = "feature-Log-in", ["--x--"] = "x", ["a..b"] = "a..b", ["$(id)"] = "id",
  [("x"):rep(200)] = ("x"):rep(128), ["ä1"] = "1", ["a/"] = "a",
} do
  assert(tags.slug(text) == tag, tags.slug(text))
end
fails(function() tags.slug "///" end, "tags.slug: nothing of '///' can be in a tag")
fails(function() tags.slug(7) end, "tags.slug: 'the text' must be a string that is not empty, not the number 7")
fails(function() tags.ci(nil) end, "tags.ci: expected { … }, got nil")
fails(function() tags.ci { "r.example.com/x", version = "1" } end,
  "tags.ci: 'version' is what it finds out; leave it out, or write publish = { … }")
fails(function() tags.ci { "r.example.com/x", main = 7 } end,
  "tags.ci: 'main' must be a string or a list of strings, not the number 7")
fails(function()
  image "x" { from = "scratch", publish = tags.ci { "r.example.com/x", immutabel = false } }
end, "publish: unknown option 'immutabel', did you mean 'immutable'?")
assert(require("imgmake.ci").name == ci.name and require("imgmake.tags").slug("a") == "a")

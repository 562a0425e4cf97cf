--- Lexical work on paths; no file is looked at.
local engine = require "imgmake.engine"
local path = {}

---"a/./b/../c" → "a/c"
---@param p string
---@return string
function path.clean(p)
  return engine.path_clean(p)
end

---Joins with "/"; an absolute part begins anew.
---@param first string
---@param ... string
---@return string
function path.join(first, ...)
  local out = engine.path_clean(first)
  for _, part in ipairs { ... } do
    out = engine.path_join(out, part)
  end
  return out
end

---The last component: "services/api/" → "api"
---@param p string
---@return string
function path.name(p)
  local clean = engine.path_clean(p)
  return clean:match("([^/]*)$")
end

---path.name by the name that other languages have for it.
---@param p string
---@return string
function path.base(p)
  return path.name(p)
end

---What comes before the last component; "." if nothing does.
---@param p string
---@return string
function path.dir(p)
  local dir = engine.path_clean(p):match("^(.*)/[^/]*$")
  return dir == "" and "/" or dir or "."
end

---The extension with its dot, or "": "a.tar.gz" → ".gz"
---@param p string
---@return string
function path.ext(p)
  return path.name(p):match("[^.](%.[^.]*)$") or ""
end

---The last component without extension.
---@param p string
---@return string
function path.stem(p)
  local name = path.name(p)
  return name:sub(1, #name - #path.ext(p))
end

return path

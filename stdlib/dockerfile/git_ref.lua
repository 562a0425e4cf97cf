--- A repository as ADD names it: URL#REF:SUBDIR, or URL?KEY=VALUE. As BuildKit's util/gitutil reads them.
local repository = require "imgmake.repository"
local git_ref = {}

---@class imgmake.dockerfile.GitRef
---@field url string
---@field ref string
---@field subdir string
---@field commit? string
---@field keep_dir? boolean
---@field submodules? boolean

---Whether an ADD means a repository of git.
---@param text string
---@return boolean
function git_ref.is(text)
  local plain = text:gsub("[#?].*$", "")
  return text:find("^[%w_-]+@[%w.-]+:") ~= nil or text:find("^git://") ~= nil or text:find("^ssh://") ~= nil
    or text:find("^github%.com/") ~= nil or plain:find("^https?://.*%.git$") ~= nil
end

local function decoded(s)
  return (s:gsub("+", " "):gsub("%%(%x%x)", function(hex)
    return string.char(tonumber(hex, 16))
  end))
end

local booleans = { ["1"] = true, t = true, ["true"] = true, ["0"] = false, f = false, ["false"] = false }

local set = {}

local function named(prefix)
  return function(out, value)
    if out.ref then
      return "it names more than one ref"
    end
    out.ref = prefix .. value
  end
end

set.ref, set.tag, set.branch = named "", named "refs/tags/", named "refs/heads/"

function set.subdir(out, value)
  out.subdir = value
end

function set.commit(out, value)
  if out.commit and out.commit ~= value then
    return "it names more than one commit"
  end
  out.commit = value
end

set.checksum = set.commit

local function boolean(field)
  return function(out, value, key)
    out[field] = booleans[value:lower()]
    if out[field] == nil then
      return ("%s=%s: expected true or false"):format(key, value)
    end
  end
end

set["keep-git-dir"], set.submodules = boolean "keep_dir", boolean "submodules"

local function read_query(out, query, hint)
  for item in query:gmatch("[^&]+") do
    local key, value = item:match("^([^=]*)=?(.*)$")
    key, value = decoded(key), decoded(value)
    if not set[key] then
      return ("unexpected query '%s'%s"):format(key, hint(key, set))
    elseif value == "" then
      return ("the query '%s' has no value"):format(key)
    end
    local why = set[key](out, value, key)
    if why then
      return why
    end
  end
end

---@param text string
---@param hint fun(word: string, known: table): string
---@return imgmake.dockerfile.GitRef? result, string? message
function git_ref.read(text, hint)
  local rest, fragment = text:match("^([^#]*)#?(.*)$")
  local url, query = rest, ""
  if not rest:find("^[%w_-]+@") then
    url, query = rest:match("^([^?]*)%??(.*)$")
  end
  local out = { url = url:find("^github%.com/") and "https://" .. url or url }
  local why = read_query(out, query, hint)
  local ref, subdir = fragment:match("^([^:]*):?(.*)$")
  if not why and ref ~= "" then
    why = set.ref(out, ref)
  end
  if not why and subdir ~= "" and out.subdir then
    why = "it names more than one subdir"
  end
  if why then
    return nil, why
  end
  out.ref = out.ref or ""
  out.subdir = subdir ~= "" and subdir or out.subdir or ""
  return out, repository.refuse(out.url) or (out.ref ~= "" and not repository.is_ref(out.ref)
    and ("'%s' is no name of a branch, tag or commit"):format(out.ref)) or nil
end

return git_ref

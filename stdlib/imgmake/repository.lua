--- Repositories of git as recipes and Dockerfiles name them.
local repository = {}

--- Whether the machine is this one, to which http is as good as https.
local function is_loopback(host)
  return host == "localhost" or host:find("%.localhost$") ~= nil or host:find("^127%.%d+%.%d+%.%d+$") ~= nil
    or host == "[::1]"
end

---What is wrong with a repository's URL; nil if nothing is.
---@param url string
---@return string?
function repository.refuse(url)
  local scheme, rest = url:match("^(%a[%w+.-]*)://(.*)$")
  if url:find("[%s%c]") then
    return ("'%s' has blanks or control characters"):format(url)
  elseif not scheme then
    return not url:find("^[%w_.-]+@[%w_.-]+:[^-]") and ("'%s' is no repository: write https://HOST/PATH.git, "
      .. "ssh://HOST/PATH or USER@HOST:PATH"):format(url) or nil
  end
  local authority, path = rest:match("^([^/]*)(/.*)$")
  local user, host = (authority or ""):match("^(.*)@([^@]*)$")
  host = (host or authority or ""):gsub(":%d*$", "")
  if host == "" or path == "/" or host:find("^%-") then
    return ("'%s' is no repository: it needs a host and a path"):format(url)
  elseif scheme == "ssh" and not (user and user:find(":", 1, true)) then
    return nil
  elseif user then
    return ("a URL with a user's name or password would be in the image's history; give --secret GIT_AUTH_TOKEN=… "
      .. "instead")
  elseif scheme == "https" or (scheme == "http" and is_loopback(host:lower())) then
    return nil
  end
  return ("'%s': repositories are read by https or ssh"):format(url)
end

---Whether it may be the name of a branch or tag, as git-check-ref-format(1) has it.
---@param ref string
---@return boolean
function repository.is_ref(ref)
  return not (ref:find("[%s%c~^:?*%[\\\127]") or ref:find("..", 1, true) or ref:find("@{", 1, true)
    or ref:find("^[-/.]") or ref:find("[/.]$") or ref:find("//", 1, true) or ref:find("/.", 1, true)
    or ref:find("%.lock$") or ref == "@" or ref == "")
end

---Whether it is a commit's full hash.
---@param hash string
---@return boolean
function repository.is_hash(hash)
  return (#hash == 40 or #hash == 64) and not hash:find("[^0-9a-f]")
end

return repository

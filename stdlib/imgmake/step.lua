--- The steps of stages and images.
local check = require "imgmake.check"
local config = require "imgmake.config"
local engine = require "imgmake.engine"
local object = require "imgmake.object"
local repository = require "imgmake.repository"
local run = require "imgmake.run"
local step = {}

local function make(kind, record)
  record.kind = kind
  record.file, record.line = engine.place()
  return object.new(record)
end

--- Sources in the project are relative and stay below the Imagefile; of a target anything goes.
local function check_sources(who, sources, from)
  for _, source in ipairs(sources) do
    local clean = engine.path_clean(source)
    if from then
      goto continue
    elseif source:sub(1, 1) == "/" then
      error(("%s: '%s' is absolute; files of the project are named relative to the Imagefile"):format(who, source))
    elseif clean == ".." or clean:sub(1, 3) == "../" then
      error(("%s: '%s' is above the Imagefile's directory"):format(who, source))
    end
    ::continue::
  end
end

--- Names of file rules stand for their outputs.
local function source_names(who, items)
  local out = {}
  for i, v in ipairs(items) do
    local record = object.target(v)
    if record and record.kind == "file" then
      out[i] = record.path
    elseif record then
      error(("%s: %s is not a file; copy from it with from = …"):format(who, object.describe(v)))
    else
      out[i] = v
    end
  end
  return check.strings(who, out, "sources")
end

local function mtime(v)
  if v == "content" or v == "keep" or math.type(v) == "integer" then
    return v
  end
  return nil, '"content", "keep" or seconds since 1970'
end

local function split(v)
  if v == "auto" or v == false or (math.type(v) == "integer" and v >= 1 and v <= 60) then
    return v
  end
  return nil, '"auto", false or a number of layers from 1 to 60'
end

local copy_options = {
  to = "name", from = "file_system", exclude = "names", mode = "change", dir_mode = "change",
  owner = "owner", parents = "boolean", optional = "boolean", mtime = mtime, split = split,
}

---@class imgmake.Copy
---@field [integer] string|imgmake.Target  sources: files, directories, patterns; or file rules
---@field to string                        where to; ending in "/" a directory
---@field from? imgmake.Target             copy from a base, stage or image instead of the project
---@field exclude? string|string[]         patterns to leave out
---@field mode? string                     of files, as "0644", or what changes of it, as "u+x"
---@field dir_mode? string                 of directories, as "0755" or "go-w"
---@field owner? string|integer            "uid", "uid:gid" or names
---@field parents? boolean                 keep the directories of the sources' names
---@field optional? boolean                matching nothing is no error
---@field mtime? "content"|"keep"|integer  times of files in the layer
---@field split? "auto"|false|integer      into how many layers at most; false: one, however large

--- Letters are a field of their own.
local function split_mode(o, name, letters)
  if type(o[name]) == "string" then
    o[letters], o[name] = o[name], nil
  end
end

---Copies files of the project, or of another target, into the image.
---@param body imgmake.Copy
---@return imgmake.Step
function step.copy(body)
  local o, items = check.options("copy", body, copy_options)
  local sources = source_names("copy", items)
  check.need("copy", o, "to")
  check_sources("copy", sources, o.from)
  o.sources = sources
  split_mode(o, "mode", "chmod")
  split_mode(o, "dir_mode", "dir_chmod")
  if not math.tointeger(o.split) then
    o.split = o.split == false and 1 or nil
  end
  if math.type(o.mtime) == "integer" then
    o.mtime, o.mtime_value = "number", o.mtime
  end
  return make("copy", o)
end

---@class imgmake.Write
---@field [1] string              path in the image
---@field [2] string              what the file holds
---@field mode? string            as "0644"
---@field owner? string|integer

---Writes a small file.
---@param body imgmake.Write
---@return imgmake.Step
function step.write(body)
  local o, items = check.options("write", body, { mode = "mode", owner = "owner" })
  local path, text = items[1], items[2]
  if #items ~= 2 or type(path) ~= "string" or type(text) ~= "string" then
    error('write: expected { "PATH", "TEXT" }')
  end
  check.value("write", "path", path, "name")
  if path:sub(-1) == "/" then
    error(("write: '%s' names a directory"):format(path))
  end
  o.path, o.text = path, text
  return make("write", o)
end

---Makes directories, with their parents. With `keep` those that are there stay as they are.
---@param body string|{ [integer]: string, mode?: string, owner?: string|integer, keep?: boolean }
---@return imgmake.Step
function step.mkdir(body)
  local o, items = check.options("mkdir", body, { mode = "mode", owner = "owner", keep = "boolean" })
  o.paths = check.strings("mkdir", items, "paths")
  return make("mkdir", o)
end

---Makes a symbolic link: symlink { "/usr/bin/python", target = "python3" }.
---@param body { [1]: string, target: string, owner?: string|integer }
---@return imgmake.Step
function step.symlink(body)
  local o, items = check.options("symlink", body, { target = "name", owner = "owner" })
  if #check.strings("symlink", items, "paths") ~= 1 then
    error('symlink: expected { "PATH", target = "TEXT" }')
  end
  check.need("symlink", o, "target")
  o.path = items[1]
  return make("symlink", o)
end

---Removes files and directories of the image so far; patterns are allowed.
---@param body string|{ [integer]: string, optional?: boolean }
---@return imgmake.Step
function step.remove(body)
  local o, items = check.options("remove", body, { optional = "boolean" })
  o.paths = check.strings("remove", items, "paths")
  return make("remove", o)
end

---@class imgmake.Unpack
---@field [1] string|imgmake.Target  the archive: of the project, or what a file rule makes
---@field to string
---@field from? imgmake.Target
---@field owner? string|integer

---Unpacks an archive of the project.
---@param body imgmake.Unpack
---@return imgmake.Step
function step.unpack(body)
  local o, items = check.options("unpack", body, { to = "name", from = "file_system", owner = "owner" })
  local sources = source_names("unpack", items)
  if #sources ~= 1 then
    error("unpack: expected one archive")
  end
  check.need("unpack", o, "to")
  check_sources("unpack", sources, o.from)
  o.source = sources[1]
  return make("unpack", o)
end

local function sha256(v)
  local hex = type(v) == "string" and v:lower():gsub("^sha256:", "") or ""
  if #hex == 64 and not hex:find("[^0-9a-f]") then
    return hex
  end
  return nil, "64 hexadecimal digits"
end

local function commit(v)
  if type(v) == "string" and repository.is_hash(v) then
    return v
  end
  return nil, "all the hexadecimal digits of a commit's hash"
end

local git_options = { ref = "name", commit = commit, subdir = "name", exclude = "names", keep_git_dir = "boolean",
  submodules = "boolean" }
local file_options = { sha256 = sha256, unpack = "boolean" }

--- Options for files alone, or for repositories alone.
local function add_options(is_git)
  local out = { git = "boolean", to = "name", mode = is_git and "change" or "mode", owner = "owner" }
  for name, kind in pairs(is_git and git_options or file_options) do
    out[name] = kind
  end
  return out
end

--- Where a repository's files are taken from, without anything that leads above it.
local function subdir(text)
  local clean = engine.path_clean("/" .. (text or "")):sub(2)
  return clean ~= "" and clean or nil
end

local function add_git(o, url)
  local why = repository.refuse(url)
  if why then
    error("add: " .. why)
  elseif o.ref and not repository.is_ref(o.ref) then
    error(("add: ref: '%s' is no name of a branch, tag or commit"):format(o.ref))
  end
  o.url, o.subdir, o.git = url, subdir(o.subdir), nil
  o.keep_dir, o.no_submodules = o.keep_git_dir, o.submodules == false
  o.keep_git_dir, o.submodules = nil, nil
  split_mode(o, "mode", "chmod")
  return make("git", o)
end

---@class imgmake.Add
---@field [1] string              URL
---@field to string
---@field sha256? string          of the file; without it the lock remembers it
---@field unpack? boolean         it is an archive to be unpacked in `to`
---@field mode? string            as "0644"; of a repository also what changes of it, as "go-w"
---@field owner? string|integer
---@field git? boolean            it is a repository of git, whose files go into `to`
---@field ref? string             branch, tag or commit of the repository; without it its HEAD
---@field commit? string          full hash of the commit; without it the lock remembers it
---@field subdir? string          the directory of the repository whose files they are
---@field exclude? string|string[]  patterns of the repository's files to leave out
---@field keep_git_dir? boolean   take its .git as well
---@field submodules? false       leave directories of submodules empty, which else is an error

---Adds a file from the network, or the files of a repository of git.
---@param body imgmake.Add
---@return imgmake.Step
function step.add(body)
  local is_git = type(body) == "table" and not object.record(body) and body.git == true
  local o, items = check.options("add", body, add_options(is_git))
  local url = check.strings("add", items, "URLs")[1]
  check.need("add", o, "to")
  if is_git and #items == 1 then
    return add_git(o, url)
  elseif #items ~= 1 or not url:find("^https?://[^/%s]+/%S+$") then
    error("add: expected one URL, as \"https://example.com/tool\"; files of the project are copied")
  end
  o.url, o.git = url, nil
  return make("add", o)
end

---Sets environment variables, for the steps after it and in the image.
---@param body table<string, string|integer>
---@return imgmake.Step
function step.env(body)
  local env = check.value("env", "the argument", body, "map")
  if engine.key_with(env, "=") then
    error(("env: '%s' is no name of a variable"):format(engine.key_with(env, "=")))
  end
  return make("env", { env = env, kind = nil, file = nil, line = nil })
end

---Sets the working directory, for the steps after it and in the image.
---@param path string
---@return imgmake.Step
function step.workdir(path)
  return make("workdir", { workdir = check.value("workdir", "the path", path, "name") })
end

---Sets the user, for the steps after it and in the image.
---@param user string|integer  "uid", "uid:gid" or names
---@return imgmake.Step
function step.user(user)
  return make("user", { user = check.value("user", "the user", user, "owner") })
end

---Configuration of the image.
---@param body imgmake.Config
---@return imgmake.Step
function step.config(body)
  return make("config", { config = config.read(body) })
end

---Runs commands in the image so far.
---@param body string|imgmake.Run
---@return imgmake.Step
function step.run(body)
  return make("run", run.read(body))
end

---For imgmake.account, which has checked it.
function step.account(record)
  return make("account", record)
end

local configures = { env = true, workdir = true, user = true, config = true }

--- Puts the records of steps in the place of the steps of a list, which is the caller's own; anything else in
--- it is an error.
function step.records(who, items)
  for i, v in ipairs(items) do
    local record = object.step(v)
    if not record then
      local why = type(v) == "function" and " (is its { … } missing?)" or ""
      if object.target(v) then
        why = ", which is a target: give it as from = … , or copy from it"
      end
      error(("%s: entry %d is no step but %s%s"):format(who, i, object.describe(v), why))
    end
    items[i] = record
  end
  return items
end

---One layer of several steps, each of which sees what those before it did. What one of them makes and a
---later one removes is in no layer.
---@param body imgmake.Step[]
---@return imgmake.Step
function step.layer(body)
  local _, items = check.options("layer", body, {})
  local steps = {}
  for _, record in ipairs(step.records("layer", items)) do
    if configures[record.kind] then
      error(("layer: '%s' changes no files; put it before the layer"):format(record.kind))
    end
    if (record.split or 1) > 1 then
      error("layer: a copy with 'split' makes layers of its own; leave out one of the two")
    end
    for _, inner in ipairs(record.kind == "layer" and record.steps or { record }) do
      steps[#steps + 1] = inner
    end
  end
  if #steps == 0 then
    error("layer: no steps given")
  end
  return make("layer", { steps = steps })
end

return step

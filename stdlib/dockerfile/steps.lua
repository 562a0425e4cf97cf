--- What each instruction does to a stage: the steps that it becomes.
local engine = require "imgmake.engine"
local expand = require "dockerfile.expand"
local git_ref = require "dockerfile.git_ref"
local parse = require "dockerfile.parse"
local read = require "dockerfile.read"
local repository = require "imgmake.repository"
local steps = {}

local fail = read.fail

--- Appends a step, whose place is that of `at`.
function steps.add(stage, at, step)
  step.file, step.line = at.file, at.line
  stage.steps[#stage.steps + 1] = step
  return step
end

function steps.config(stage, at, members)
  steps.add(stage, at, { kind = "config", config = engine.json_encode(members) })
end

local function word(f, stage, c, text)
  return steps.word(f, c, text, stage.env)
end

local function words(f, stage, c, list)
  local out = {}
  for i, text in ipairs(list) do
    out[i] = word(f, stage, c, text)
  end
  return out
end

function steps.ARG(f, stage, c)
  for _, arg in ipairs(c.args) do
    local name, default = arg[1], arg[2]
    f.declare(name, default, c)
    local value = f.arg(name)
    if value == nil and default ~= nil then
      value = word(f, stage, c, default)
    elseif value == nil then
      value = f.globals[name]
    end
    if value ~= nil then
      stage.env[name], stage.args[name] = value, true
    end
  end
end

--- The engine replaces ${NAME} in values; here that has been done.
local function literal(text)
  return (text:gsub("%${", "$${"))
end

function steps.ENV(f, stage, c)
  local env = {}
  for _, pair in ipairs(c.pairs) do
    env[#env + 1] = { word(f, stage, c, pair[1]), word(f, stage, c, pair[2]) }
  end
  local step = steps.add(stage, c, { kind = "env", env = {} })
  for _, pair in ipairs(env) do
    local name, value = pair[1], pair[2]
    if name == "" then
      fail(c, "ENV: names can not be blank")
    end
    stage.env[name], stage.image_env[name] = value, value
    step.env[name] = literal(value)
  end
end

function steps.LABEL(f, stage, c)
  local labels = {}
  for _, pair in ipairs(c.pairs) do
    labels[word(f, stage, c, pair[1])] = word(f, stage, c, pair[2])
  end
  steps.config(stage, c, { labels = labels })
end

function steps.MAINTAINER(_, stage, c)
  steps.config(stage, c, { author = c.text })
end

function steps.WORKDIR(f, stage, c)
  stage.workdir = engine.path_join(stage.workdir, word(f, stage, c, c.text))
  steps.add(stage, c, { kind = "workdir", workdir = stage.workdir })
  if stage.workdir ~= "/" then
    steps.add(stage, c, { kind = "mkdir", paths = { stage.workdir }, keep = true, owner = stage.user })
  end
end

function steps.USER(f, stage, c)
  stage.user = word(f, stage, c, c.text)
  steps.add(stage, c, { kind = "user", user = stage.user })
end

function steps.SHELL(_, stage, c)
  stage.shell = c.exec
  steps.config(stage, c, { shell = engine.json_array(c.exec) })
end

--- Arguments as they are, or one string for the shell.
local function argv(stage, c, text)
  if c.exec then
    return c.exec
  end
  local out = {}
  for i, part in ipairs(stage.shell or { "/bin/sh", "-c" }) do
    out[i] = part
  end
  out[#out + 1] = text
  return out
end

function steps.CMD(_, stage, c)
  steps.config(stage, c, { cmd = engine.json_array(argv(stage, c, c.text)) })
end

function steps.ENTRYPOINT(_, stage, c)
  steps.config(stage, c, { entrypoint = engine.json_array(argv(stage, c, c.text)) })
end

function steps.HEALTHCHECK(_, stage, c)
  local health = {}
  for name, value in pairs(c.health) do
    health[name] = value
  end
  health.test = engine.json_array(health.test)
  steps.config(stage, c, { healthcheck = health })
end

function steps.EXPOSE(f, stage, c)
  local ports = {}
  for _, text in ipairs(c.words) do
    local list, why = expand.words(text, stage.env, { escape = f.escape })
    if not list then
      fail(c, "EXPOSE: failed to process '%s': %s", text, why)
    end
    for _, port in ipairs(list) do
      for _, one in ipairs(read.ports(c, port)) do
        ports[#ports + 1] = one
      end
    end
  end
  steps.config(stage, c, { expose = engine.json_array(ports) })
end

function steps.VOLUME(f, stage, c)
  local volumes = words(f, stage, c, c.words)
  for _, v in ipairs(volumes) do
    if v == "" then
      fail(c, "VOLUME: a path can not be empty")
    end
  end
  steps.config(stage, c, { volumes = engine.json_array(volumes) })
end

local signals = {}
for name in ("ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS "
  .. "TERM TRAP TSTP TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ RTMIN RTMAX"):gmatch("%S+") do
  signals[name] = true
end

function steps.STOPSIGNAL(f, stage, c)
  local text = word(f, stage, c, c.text)
  local name = text:upper():gsub("^SIG", "")
  local offset = tonumber(name:match("^RTM[INAX]+[+-](%d+)$"))
  local n = tonumber(text)
  if not signals[name] and not (offset and offset <= 15) and not (math.type(n) == "integer" and n > 0 and n <= 64) then
    fail(c, "STOPSIGNAL: invalid signal: %s%s", text, read.hint(name, signals))
  end
  steps.config(stage, c, { stop_signal = text })
end

function steps.ONBUILD(_, stage, c)
  stage.onbuild[#stage.onbuild + 1] = c.expression
end

--- --chmod: octal digits, or letters. → number, letters
local function mode(f, stage, c)
  local text = c.flags.chmod and word(f, stage, c, c.flags.chmod)
  if not text or text == "" then
    return nil
  elseif text:find("^[0-7]+$") and #text <= 9 and tonumber(text, 8) <= 4095 then
    return tonumber(text, 8)
  elseif not text:find("^%d") and engine.change_mode(text, 0, false) then
    return nil, text
  end
  fail(c, "%s: --chmod=%s: it should be an octal number between 0 and 07777, or letters like u+x,go-w", c.name, text)
end

--- Of a file whose own mode is known.
local function mode_of(o, own)
  return o.mode or (o.chmod and engine.change_mode(o.chmod, own, false)) or own
end

local function has_wildcard(text)
  return text:gsub("\\.", ""):find("[*?[]") ~= nil
end

--- "/a/../b" → "b", below the context or image; with --parents, "/./" says what is kept.
local function below(text, parents)
  local before, after = nil, nil
  if parents then
    before, after = text:match("^(.-)/%./(.*)$")
  end
  if before then
    return below(before) .. "/./" .. below(after)
  end
  local clean = engine.path_clean("/" .. text):sub(2)
  return clean == "" and "." or clean
end

local function add_files(f, stage, c, o, out)
  for _, file in ipairs(c.files) do
    local text = file.text
    if file.expand then
      local result, why = (f.expand or expand.word)(text, stage.env, { no_quotes = true })
      if not result then
        fail(c, "%s: <<%s: %s", c.name, file.name, why)
      end
      text = result
    end
    out[#out + 1] = { kind = "write", path = o.to, name = file.name, text = text, mode = mode_of(o, 420),
      owner = o.owner }
  end
end

local function copy_step(o, sources, from)
  return {
    kind = "copy", sources = sources, to = o.to, from = from, exclude = o.exclude, mode = o.mode, dir_mode = o.mode,
    chmod = o.chmod, dir_chmod = o.chmod, owner = o.owner, parents = o.parents, as_docker = true,
  }
end

--- One instruction is one layer.
local function add_layer(stage, c, list)
  for _, step in ipairs(list) do
    step.file, step.line = c.file, c.line
  end
  if #list == 1 then
    stage.steps[#stage.steps + 1] = list[1]
  elseif #list > 1 then
    steps.add(stage, c, { kind = "layer", steps = list })
  end
end

local function options(f, stage, c)
  local o = {
    to = word(f, stage, c, c.to), parents = c.flags.parents,
    owner = c.flags.chown and word(f, stage, c, c.flags.chown), exclude = {},
  }
  o.mode, o.chmod = mode(f, stage, c)
  for i, pattern in ipairs(c.flags.exclude or {}) do
    o.exclude[i] = word(f, stage, c, pattern)
  end
  if o.to == "" then
    o.to = "./"
  end
  if #c.sources + #c.files > 1 and o.to:sub(-1) ~= "/" then
    o.to = o.to .. "/"
  end
  return o
end

local function is_url(text)
  return text:find("^https?://") ~= nil
end

function steps.COPY(f, stage, c)
  local o, sources, out = options(f, stage, c), {}, {}
  for i, text in ipairs(words(f, stage, c, c.sources)) do
    if git_ref.is(text) then
      fail(c, "COPY: the source can't be a git ref; ADD takes them")
    elseif is_url(text) then
      fail(c, "COPY: the source can't be a URL; ADD takes them")
    end
    sources[i] = below(text, o.parents)
  end
  local from = c.flags.from and steps.from(f, stage, c, c.flags.from)
  if #sources > 0 then
    out[1] = copy_step(o, sources, from)
  end
  add_files(f, stage, c, o, out)
  add_layer(stage, c, out)
end

--- --checksum: of one file, or the commit of one repository.
local function checksum(f, stage, c, n_sources)
  local text = c.flags.checksum and word(f, stage, c, c.flags.checksum)
  if not text or text == "" then
    return nil
  elseif n_sources ~= 1 or #c.files > 0 then
    fail(c, "ADD: --checksum can't be specified for multiple sources")
  end
  return text
end

local function sha256(c, text)
  local hex = text and text:match("^sha256:(%x+)$")
  if text and (not hex or #hex ~= 64 or hex:find("%u")) then
    fail(c, "ADD: --checksum=%s: expected sha256: and 64 hexadecimal digits", text)
  end
  return hex
end

--- Archives of the context are unpacked, whatever they are called.
local function add_local(f, c, o, sources, out)
  local plain = {}
  for _, text in ipairs(sources) do
    local names, archives = { text }, {}
    if has_wildcard(text) then
      names = engine.glob(f.dir, text)
    end
    for _, name in ipairs(c.flags.unpack == false and {} or names) do
      if engine.archive(f.dir == "" and name or f.dir .. "/" .. name) then
        archives[name] = true
        out[#out + 1] = { kind = "unpack", source = name, to = o.to, owner = o.owner }
      end
    end
    if not next(archives) then
      plain[#plain + 1] = text
    else
      for _, name in ipairs(names) do
        plain[#plain + 1] = not archives[name] and name or nil
      end
    end
  end
  if #plain > 0 then
    table.insert(out, 1, copy_step(o, plain))
  end
end

--- What a step of a repository takes from its name.
function steps.set_git(step, g)
  local dir = below(g.subdir)
  step.url, step.ref, step.commit, step.subdir = g.url, g.ref, g.commit, dir ~= "." and dir or nil
  step.keep_dir, step.no_submodules = g.keep_dir, g.submodules == false
  return step
end

local function add_git(c, o, text, sum)
  local g, why = git_ref.read(text, read.hint)
  if why then
    fail(c, "ADD: %s: %s", (text:gsub("^(https?://)[^/@]*@", "%1")), why)
  end
  local commit = g.commit or sum
  if sum and sum ~= commit then
    fail(c, "ADD: --checksum=%s: %s says %s", sum, text, commit)
  elseif commit and not repository.is_hash(commit) then
    fail(c, "ADD: --checksum=%s: expected all the hexadecimal digits of a commit's hash", commit)
  elseif c.flags["keep-git-dir"] ~= nil then
    g.keep_dir = c.flags["keep-git-dir"]
  end
  g.commit = commit
  return steps.set_git({ kind = "git", to = o.to, exclude = o.exclude, mode = o.mode, chmod = o.chmod,
    owner = o.owner }, g)
end

local function add_url(c, o, url, sum)
  local to, path = o.to, url:gsub("[?#].*$", ""):match("^%a+://[^/]*(.*)$")
  if to:sub(-1) == "/" and not c.flags.unpack and path:match("[^/]*$") == "" then
    to = to .. "__unnamed__" -- as BuildKit calls it
  end
  return { kind = "add", url = url, sha256 = sha256(c, sum), to = to, mode = mode_of(o, 384), owner = o.owner,
    unpack = c.flags.unpack }
end

function steps.ADD(f, stage, c)
  local o, out, files = options(f, stage, c), {}, {}
  local sum = checksum(f, stage, c, #c.sources)
  for _, text in ipairs(words(f, stage, c, c.sources)) do
    if git_ref.is(text) then
      out[#out + 1] = add_git(c, o, text, sum)
    elseif is_url(text) then
      out[#out + 1] = add_url(c, o, text, sum)
    elseif sum then
      fail(c, "ADD: --checksum requires an HTTP(S) or git source")
    else
      files[#files + 1] = below(text)
    end
  end
  add_local(f, c, o, files, out)
  add_files(f, stage, c, o, out)
  add_layer(stage, c, out)
end

local proxy_names = { "HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY" }
steps.proxy_names = {}
for _, name in ipairs(proxy_names) do
  steps.proxy_names[name], steps.proxy_names[name:lower()] = true, true
end

local function proxies(f)
  local out = {}
  for _, name in ipairs(proxy_names) do
    local value = f.arg(name) or f.arg(name:lower())
    if value then
      out[name], out[name:lower()] = value, value
    end
  end
  return out
end

--- Where a mount is in the step.
local function mount_path(stage, c, m)
  local path = engine.path_join(stage.workdir, m.target or ".")
  if path == "/" then
    fail(c, "RUN: --mount: invalid target '/'")
  end
  return path
end

--- Files of the context: through a stage of their own, where an ignore file hides some or the step may write.
local function bind_context(f, c, m, source)
  if m.readonly ~= false and f.ignore == "" then
    return { type = "bind", source = source }
  end
  local all = { kind = "copy", file = c.file, line = c.line, sources = { source }, to = "/x/", parents = true,
    as_docker = true }
  return {
    type = "bind", source = "/x/" .. (source == "." and "" or source), writable = m.readonly == false,
    from = steps.hidden(f, c, "context", { steps = { all } }),
  }
end

local add_mount = {}

function add_mount.bind(f, stage, c, m, run)
  local mount
  if m.from then
    mount = { type = "bind", source = engine.path_join("/", m.source or "/"), writable = m.readonly == false,
      from = steps.from(f, stage, c, m.from) }
  else
    mount = bind_context(f, c, m, below(m.source or "."))
  end
  mount.path = mount_path(stage, c, m)
  run.mount[#run.mount + 1] = mount
end

function add_mount.tmpfs(_, stage, c, m, run)
  if m.readonly then
    fail(c, "RUN: --mount: a tmpfs that is read-only would be of no use")
  end
  run.mount[#run.mount + 1] = { type = "tmpfs", path = mount_path(stage, c, m), size = m.size }
end

function add_mount.cache(_, stage, c, m, run)
  if m.from or m.source then
    fail(c, "RUN: --mount=type=cache: from and source are not supported; fill the cache in the step")
  end
  local path = mount_path(stage, c, m)
  run.cache[#run.cache + 1] = { path = path, id = m.id or path, sharing = m.sharing or "shared", readonly = m.readonly,
    mode = m.mode, uid = m.uid, gid = m.gid }
end

function add_mount.secret(_, stage, c, m, run)
  local id = m.id or m.source or m.target:match("([^/]*)$")
  local path
  if not m.env or m.target then
    path = engine.path_join(stage.workdir, m.target or "/run/secrets/" .. id:match("([^/]*)$"))
  end
  if id == "" or (m.env and not m.env:find("^[%a_][%w_]*$")) then
    fail(c, "RUN: --mount=type=secret: %s", id == "" and "the id is empty" or "env is no name of a variable")
  end
  run.secret[#run.secret + 1] = { id = id, path = path, env = m.env, optional = not m.required, mode = m.mode,
    uid = m.uid or 0, gid = m.gid or 0 }
end

function add_mount.ssh(_, stage, c, m, run)
  if m.id and m.id ~= "default" then
    fail(c, "RUN: --mount=type=ssh: id=%s: there is one agent, whose id is 'default'", m.id)
  elseif m.mode or m.uid or m.gid then
    fail(c, "RUN: --mount=type=ssh: mode, uid and gid are not supported: the socket is the agent's own")
  elseif run.ssh then
    fail(c, "RUN: --mount=type=ssh is there twice")
  end
  run.ssh, run.ssh_optional = true, not m.required
  run.ssh_path = m.target and engine.path_join(stage.workdir, m.target) or "/run/buildkit/ssh_agent.0"
end

local networks = { default = false, none = "none", host = "host" }

local function network(c)
  local name = c.flags.network
  if not name then
    return nil
  elseif networks[name] == nil then
    fail(c, "RUN: unsupported network mode '%s'%s", name, read.hint(name, networks))
  end
  return networks[name] or nil
end

--- Heredocs: one is the script itself, or a program where it begins with #!; several are for the shell.
local function script(f, stage, c, run)
  local docs = c.heredocs
  if #docs == 0 or c.exec then
    return argv(stage, c, c.text)
  elseif parse.heredoc(c.text) then
    local text = docs[1].chomp and parse.chomped(docs[1].text) or docs[1].text
    if text:sub(1, 2) ~= "#!" then
      return argv(stage, c, text)
    end
    local path = "/dev/pipes/" .. docs[1].name
    local file = { kind = "write", file = c.file, line = c.line, path = "/script", text = text, mode = 493 }
    run.mount[#run.mount + 1] = { type = "bind", path = path, source = "/script",
      from = steps.hidden(f, c, "script", { steps = { file } }) }
    return { path }
  end
  local text = { c.text }
  for _, doc in ipairs(docs) do
    text[#text + 1] = "\n" .. doc.text .. doc.name
  end
  return argv(stage, c, table.concat(text))
end

function steps.RUN(f, stage, c)
  local run = { kind = "run", lines = {}, env = {}, mount = {}, cache = {}, secret = {}, proxies = proxies(f) }
  local security = c.flags.security
  if security and security ~= "sandbox" then
    fail(c, "RUN: --security=%s is not supported: steps run in a sandbox", security)
  elseif c.flags.device then
    fail(c, "RUN: --device is not supported: steps run in a sandbox without devices")
  end
  run.network = network(c)
  for _, text in ipairs(c.flags.mount or {}) do
    local m = read.mount(c, text, function(value)
      return word(f, stage, c, value)
    end)
    add_mount[m.type](f, stage, c, m, run)
  end
  run.exec = script(f, stage, c, run)
  for name in pairs(stage.args) do
    if stage.env[name] ~= stage.image_env[name] then
      run.env[name] = stage.env[name]
    end
  end
  steps.add(stage, c, run)
end

return steps

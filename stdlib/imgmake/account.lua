--- Users and groups of an image, without a program of its own.
local check = require "imgmake.check"
local step = require "imgmake.step"
local account = {}

local ID_MAX = 4294967294

local function id(v)
  if math.type(v) == "integer" and v >= 0 and v <= ID_MAX then
    return v
  end
  return nil, "a number from 0 to " .. ID_MAX
end

--- As useradd takes them; of digits only it could not be told from a number.
local function name(v)
  if type(v) == "string" and #v <= 32 and v:find("^[%l_][%w_.-]*%$?$") then
    return v
  end
  return nil, "a name like \"app\": small letters, digits, '_', '.' and '-', beginning with a letter"
end

local function names(v, who)
  local list, expected = check.convert(v, "names", who)
  for _, each in ipairs(list or {}) do
    local ok, why = name(each)
    if not ok then
      return nil, "a list, each " .. why
    end
  end
  return list, expected
end

--- A field of a line: neither another field nor another line may begin in it.
local function field(v)
  if type(v) == "string" and not v:find("[:%c]") then
    return v
  end
  return nil, "a string without ':' and control characters"
end

local function absolute(v)
  if field(v) and v:find("^/") then
    return v
  end
  return nil, "an absolute path without ':'"
end

local function home(v)
  if v == false then
    return v
  end
  return absolute(v), "an absolute path, or false"
end

local function one_name(who, items)
  if #items ~= 1 then
    error(("%s: expected one name, as %s \"app\""):format(who, who))
  end
  return check.value(who, "the name", items[1], name)
end

---@class imgmake.Account
---@field [1] string           the user's name
---@field uid? integer         the first that is free from 1000 on, or from 100 with `system`
---@field group? string        made if the image has none of this name; the user's name by default
---@field gid? integer         the uid, where that is free
---@field groups? string|string[]  others, of the image, that the user joins
---@field home? string|false   made if it is not there; "/home/NAME" by default
---@field shell? string        "/bin/sh", or with `system` "/usr/sbin/nologin"
---@field comment? string
---@field system? boolean      a number below 1000, no home, no shell

---Adds a user with its group to /etc/passwd, /etc/group, and /etc/shadow where the image has one. Nothing
---is run: it works in images from scratch and for other platforms.
---@param body string|imgmake.Account
---@return imgmake.Step
function account.add(body)
  local o, items = check.options("account.add", body, {
    uid = id, gid = id, group = name, groups = names, home = home, shell = absolute, comment = field,
    system = "boolean",
  })
  local user = one_name("account.add", items)
  if o.home == nil then
    o.home = not o.system and "/home/" .. user
  end
  return step.account {
    user = user, group = o.group or user, uid = o.uid or -1, gid = o.gid or -1, system = o.system,
    comment = o.comment or "", shell = o.shell or (o.system and "/usr/sbin/nologin" or "/bin/sh"),
    home = o.home or "", groups = o.groups or {},
  }
end

---@class imgmake.AccountGroup
---@field [1] string        the group's name
---@field gid? integer      the first that is free from 1000 on, or from 100 with `system`
---@field system? boolean

---Adds a group to /etc/group, and to /etc/gshadow where the image has one.
---@param body string|imgmake.AccountGroup
---@return imgmake.Step
function account.group(body)
  local o, items = check.options("account.group", body, { gid = id, system = "boolean" })
  return step.account {
    user = "", group = one_name("account.group", items), uid = -1, gid = o.gid or -1, system = o.system,
    comment = "", shell = "", home = "", groups = {},
  }
end

return account

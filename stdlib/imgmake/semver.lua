--- Versions as semver.org 2.0.0 orders them; a leading "v" and missing parts are allowed.
local semver = {}

---@class semver.Version
---@field major integer
---@field minor integer
---@field patch integer
---@field prerelease? string
---@field build? string

---The parts of a version: "v1.2" → 1, 2, 0.
---@param text string
---@return semver.Version? version  nil if it is none
function semver.parse(text)
  if type(text) ~= "string" or #text > 200 then
    return nil
  end
  local core, rest = text:match("^v?(%d[%d.]*)(.*)$")
  local major, minor, patch = (core or ""):match("^(%d+)%.?(%d*)%.?(%d*)$")
  local prerelease, build = (rest or ""):match("^%-?([^+]*)%+?(.*)$")
  if not major or core:find("%.$") or core:find("..", 1, true) or #core > 50 then
    return nil
  end
  local expected = (prerelease ~= "" and "-" .. prerelease or "") .. (build ~= "" and "+" .. build or "")
  if expected ~= rest or prerelease:find("[^%w.-]") or build:find("[^%w.-]")
      or ("." .. prerelease .. "."):find("..", 2, true) or ("." .. build .. "."):find("..", 2, true) then
    return nil
  end
  return {
    major = math.tointeger(tonumber(major)), minor = math.tointeger(tonumber(minor ~= "" and minor or 0)),
    patch = math.tointeger(tonumber(patch ~= "" and patch or 0)),
    prerelease = prerelease ~= "" and prerelease or nil, build = build ~= "" and build or nil,
  }
end

local function need(text)
  local version = semver.parse(text)
  if not version then
    error(("semver: '%s' is no version"):format(tostring(text)), 3)
  end
  return version
end

local function sign(a, b)
  return a < b and -1 or a > b and 1 or 0
end

local function compare_identifier(a, b)
  if a == nil or b == nil then
    return a == b and 0 or a == nil and -1 or 1
  end
  local na, nb = a:find("^%d+$"), b:find("^%d+$")
  if na and nb then
    a, b = a:gsub("^0+(%d)", "%1"), b:gsub("^0+(%d)", "%1")
    return #a ~= #b and sign(#a, #b) or sign(a, b)
  end
  return na and -1 or nb and 1 or sign(a, b)
end

local function identifiers(text)
  local out = {}
  for part in text:gmatch("[^.]+") do
    out[#out + 1] = part
  end
  return out
end

local function compare_prerelease(a, b)
  if a == nil or b == nil then
    return a == b and 0 or a == nil and 1 or -1
  end
  local pa, pb = identifiers(a), identifiers(b)
  for i = 1, math.max(#pa, #pb) do
    local c = compare_identifier(pa[i], pb[i])
    if c ~= 0 then
      return c
    end
  end
  return 0
end

local function compare(a, b)
  for _, part in ipairs { "major", "minor", "patch" } do
    if a[part] ~= b[part] then
      return sign(a[part], b[part])
    end
  end
  return compare_prerelease(a.prerelease, b.prerelease)
end

---Which of two versions is the older one.
---@param a string
---@param b string
---@return integer  -1, 0 or 1
function semver.compare(a, b)
  return compare(need(a), need(b))
end

local function bump(version, part)
  local out = { major = version.major, minor = version.minor, patch = version.patch }
  out[part] = out[part] + 1
  if part ~= "patch" then
    out.patch = 0
  end
  if part == "major" then
    out.minor = 0
  end
  return out
end

--- "^1.2": what may change without breaking. "~1.2": what may change without new features.
local function caret(version)
  local part = version.major > 0 and "major" or version.minor > 0 and "minor" or "patch"
  return bump(version, part)
end

local function tilde(version, text)
  return bump(version, text:find("%.") and "minor" or "major")
end

local tests = {
  ["="] = function(c) return c == 0 end,
  ["<"] = function(c) return c < 0 end,
  ["<="] = function(c) return c <= 0 end,
  [">"] = function(c) return c > 0 end,
  [">="] = function(c) return c >= 0 end,
}

local function satisfies_one(version, range)
  local operator, text = range:match("^([<>=~^]*)(.+)$")
  local bound = semver.parse(text)
  if not bound then
    error(("semver: '%s' is no range like \"^1.2\" or \">=1.2 <2\""):format(range), 3)
  elseif operator == "^" or operator == "~" then
    local upper = operator == "^" and caret(bound) or tilde(bound, text)
    return compare(version, bound) >= 0 and compare(version, upper) < 0
  end
  local test = tests[operator == "" and "=" or operator]
  if not test then
    error(("semver: unknown operator '%s'"):format(operator), 3)
  end
  return test(compare(version, bound))
end

---Whether a version is in a range: all of the conditions separated by spaces, "^1.2", ">=1.2 <2".
---@param version string
---@param range string
---@return boolean
function semver.satisfies(version, range)
  local parsed, count = need(version), 0
  for condition in range:gmatch("%S+") do
    count = count + 1
    if not satisfies_one(parsed, condition) then
      return false
    end
  end
  if count == 0 then
    error("semver: the range is empty", 2)
  end
  return true
end

return semver

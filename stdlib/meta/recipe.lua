---@meta
-- What an Imagefile sees, for editors (LuaLS). Nothing here is run; what the modules of the library annotate comes
-- after it (lua/meta.sh).

---@class imgmake.Stage
---@field [integer] imgmake.Step|imgmake.Step[]|false
---@field from imgmake.Target|"scratch"
---@field platform? "build"            run on the builder's own platform
---@field compression? "gzip"|"zstd"

---@class imgmake.Image
---@field [integer] imgmake.Step|imgmake.Step[]|false
---@field from imgmake.Target|"scratch"
---@field platforms? string[]          "linux/amd64", …: makes an index
---@field compression? "gzip"|"zstd"
---@field annotations? table<string, string>
---@field publish? imgmake.Publish|false

---@class imgmake.Check
---@field image imgmake.Target
---@field run string|string[]
---@field host? boolean                on the host, with the image as a layout in $IMAGE
---@field deps? string|string[]        with host: files of the project that it is run again for
---@field fresh? string                "24h": how long a pass is remembered

---@class imgmake.Rule
---@field deps? (string|imgmake.Target)[]
---@field run string|string[]

---@class imgmake.Sbom
---@field image imgmake.Target
---@field platform? string             "linux/arm64": of an image that is made for several

---An image of a registry, or "oci:DIR", "oci-archive:FILE", "docker-archive:FILE", "scratch".
---@param ref string
---@return imgmake.Target
function base(ref) end

---Files that others start from or copy from: built when something needs it, and never published.
---@param name string
---@return fun(body: imgmake.Stage): imgmake.Target
function stage(name) end

---A result: an OCI image, published where `publish` says so.
---@param name string
---@return fun(body: imgmake.Image): imgmake.Target
function image(name) end

---A test of an image, in it or on the host; deploy waits for it.
---@param name string
---@return fun(body: imgmake.Check): imgmake.Target
function check(name) end

---A rule on the host that makes a file, or a directory when the path ends in "/".
---@param path string
---@return fun(body: imgmake.Rule): imgmake.Target
function file(path) end

---A file with the packages that an image holds: an SPDX 2.3 document in JSON. The same image gives the same bytes.
---@param path string
---@return fun(body: imgmake.Sbom): imgmake.Target
function sbom(path) end

---A command on the host that always runs.
---@param name string
---@return fun(body: imgmake.Rule): imgmake.Target
function task(name) end

---What a bare `imgmake` builds.
---@param targets imgmake.Target[]
function default(targets) end

---Settings of the project, in the Imagefile that is read first.
---@param body imgmake.Settings
function settings(body) end

---The stages of a Dockerfile, by name and by number, and the last one as `default`.
---@param body string|imgmake.Dockerfile
---@return table<string|integer, imgmake.Target>
function dockerfile(body) end

---Evaluates another Imagefile: "dir", "../dir", or "//dir" from the project's root.
---@param dir string
---@return table<string, imgmake.Target>
function import(dir) end

---Declares a variable and returns its value: the command line's, else that of IMGMAKE_VAR_NAME, else the default.
---@param body string|imgmake.Variable
---@return string?
function var(body) end

---Files of the project, or with `from` of another target, into the image.
---@param body imgmake.Copy
---@return imgmake.Step
function copy(body) end

---A file with this text.
---@param body imgmake.Write
---@return imgmake.Step
function write(body) end

---Directories, with their parents.
---@param body string|{ [integer]: string, mode?: string, owner?: string|integer, keep?: boolean }
---@return imgmake.Step
function mkdir(body) end

---A symbolic link at the path.
---@param body { [1]: string, target: string, owner?: string|integer }
---@return imgmake.Step
function symlink(body) end

---Takes files of the image so far away.
---@param body string|{ [integer]: string, optional?: boolean }
---@return imgmake.Step
function remove(body) end

---The contents of an archive of the project.
---@param body imgmake.Unpack
---@return imgmake.Step
function unpack(body) end

---A file of the network; without `sha256` its digest is kept in Imagefile.lock.
---@param body imgmake.Add
---@return imgmake.Step
function add(body) end

---Variables of the environment, for the steps after it and in the configuration; ${NAME} is what there is so far.
---@param body table<string, string|integer>
---@return imgmake.Step
function env(body) end

---The working directory, for the steps after it and in the configuration.
---@param path string
---@return imgmake.Step
function workdir(path) end

---The user, for the steps after it and in the configuration.
---@param name string|integer
---@return imgmake.Step
function user(name) end

---Configuration of the image: what it runs, its ports, labels and so on.
---@param body imgmake.Config
---@return imgmake.Step
function config(body) end

---Commands in the image so far, as one script of /bin/sh -ec: one layer of what they changed.
---@param body string|imgmake.Run
---@return imgmake.Step
function run(body) end

---One layer of several steps, each of which sees what those before it did.
---@param steps imgmake.Step[]
---@return imgmake.Step
function layer(steps) end

---A file of the project, without its final newline.
---@param path string
---@return string
function read(path) end

---Sources that match, sorted; outputs of file rules are not among them.
---@param body string|{ [integer]: string, optional?: boolean }
---@return string[]
function glob(body) end

load helpers

# account.add and account.group: users of images in which nothing is run.

@test "a user of an image from scratch, whose home is its own" {
	recipe <<-LUA
		image "x" {
		  from = "scratch",
		  account.group { "tools", gid = 70 },
		  account.add { "app", groups = "tools" },
		  account.add { "web", uid = 33, gid = 33, home = "/srv/www", shell = "/bin/false", comment = "Web, all of it" },
		  user "app",
		  write { "/home/app/f", "mine", owner = "app:tools" },
		}
	LUA
	exported x
	equal "$(blob out-x "$(manifest_of out-x | jq -r '.layers[2].digest')" | tar -xzO etc/group etc/passwd | paste -sd' ')" \
		"tools:x:70:app app:x:1000: web:x:33: app:x:1000:1000::/home/app:/bin/sh web:x:33:33:Web, all of it:/srv/www:/bin/false"
	local listing
	listing=$(layers_of out-x)
	contains "$listing" '^drwxr-xr-x 0/0 .* home/$'
	contains "$listing" '^drwxr-xr-x 1000/1000 .* home/app/$'
	contains "$listing" '^drwxr-xr-x 33/33 .* srv/www/$'
	contains "$listing" '^-rw-r--r-- 1000/70 .* home/app/f$'
	lacks "$listing" shadow
	equal "$(config_of out-x | jq -r .config.User)" app
	ok imgmake -q
	ok imgmake history x
	contains "$output" 'account app'
}

@test "in Debian: mode and owner of the lists stay, a home that is there too, and Debian's own tools agree" {
	recipe <<-LUA
		image "x" {
		  from = base "$DEBIAN",
		  write { "/etc/shadow", "root:*:19000:0:99999:7:::\n", mode = "0640", owner = "root:shadow" },
		  layer {
		    account.add { "app", groups = { "staff", "audio" } },
		    account.add { "daemon2", system = true, home = "/var" },
		  },
		  run { "getent passwd app daemon2", "id app", "cat /etc/shadow", "stat -c '%a %u:%g' /etc/shadow /var /home/app" },
		}
	LUA
	ok imgmake --progress=plain
	contains "$stderr" '^x: app:x:1000:1000::/home/app:/bin/sh$'
	contains "$stderr" '^x: daemon2:x:10[0-9]:10[0-9]::/var:/usr/sbin/nologin$'
	contains "$stderr" '^x: uid=1000\(app\) gid=1000\(app\) groups=1000\(app\),29\(audio\),50\(staff\)$'
	contains "$stderr" '^x: app:!:::::::$'
	contains "$stderr" '^x: 640 0:42$'
	contains "$stderr" '^x: 755 0:0$'
	contains "$stderr" '^x: 755 1000:1000$'
	exported x
	# The lists, and nothing else.
	equal "$(last_layer out-x | grep -v '/$' | paste -sd' ')" "etc/group etc/passwd etc/shadow"
}

@test "a name that is taken is refused, with its place" {
	recipe <<-LUA
		image "x" {
		  from = base "$BUSYBOX",
		  account.add "www",
		}
	LUA
	fails "^imgmake: Imagefile:3: image 'x': account: the image has a user 'www' already; user \"www\" is enough\$" imgmake
	recipe <<-LUA
		image "x" {
		  from = base "$BUSYBOX",
		  remove "/etc/passwd",
		  mkdir "/etc/passwd",
		  account.add "app",
		}
	LUA
	fails "^imgmake: Imagefile:5: image 'x': account: /etc/passwd is no file in the image\$" imgmake
}

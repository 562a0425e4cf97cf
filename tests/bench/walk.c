/* The floor of a build with nothing changed: opens each directory below argv[1] once,
 * lists it, and asks for the status of each entry, in one thread. Prints how many there
 * were. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static long walk(int fd)
{
	DIR *dir = fdopendir(fd);
	long count = 0;
	struct dirent *d;
	struct stat st;

	if (dir == NULL)
		return 0;
	while ((d = readdir(dir)) != NULL) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		count++;
		if (S_ISDIR(st.st_mode))
			count += walk(
				openat(dirfd(dir), d->d_name,
			               O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
	}
	closedir(dir);
	return count;
}

int main(int argc, char **argv)
{
	printf("%ld\n",
	       walk(open(argc > 1 ? argv[1] : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
	return 0;
}

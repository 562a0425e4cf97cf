#include <stdio.h>

int main(void)
{
	puts("Hello from an image without a shell.");
	return 0;
}

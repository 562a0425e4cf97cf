package main

import "testing"

func TestGreeting(t *testing.T) {
	if got := greeting("you"); got != "Hello from Go none, you" {
		t.Error(got)
	}
}

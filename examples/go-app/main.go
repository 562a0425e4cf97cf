// A server that says hello, or with "-once" says it to the terminal.
package main

import (
	"flag"
	"fmt"
	"log"
	"net/http"
)

var version = "none"

func greeting(name string) string {
	return fmt.Sprintf("Hello from Go %s, %s", version, name)
}

func main() {
	once := flag.String("once", "", "greet this one, and end")
	flag.Parse()
	if *once != "" {
		fmt.Println(greeting(*once))
		return
	}
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, greeting(r.URL.Path))
	})
	log.Fatal(http.ListenAndServe(":8080", nil))
}

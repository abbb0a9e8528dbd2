package main

import (
	"log"

	"github.com/tallygate/tallygate/collector/dist"
)

func main() {
	if err := dist.NewCommand("dev").Execute(); err != nil {
		log.Fatal(err)
	}
}

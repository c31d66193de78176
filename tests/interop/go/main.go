// A peer of the tests: the same contract served and called by Kratos for Go.
//
//	peer serve LIMIT [REGISTRY]
//	                  serves HTTP and gRPC, prints one line of JSON with both addresses, ends with its standard input;
//	                  calls may take as long as the limit says; registers as etcd://… or zookeeper://… say
//	peer call         reads one scenario as JSON, makes that call, prints what came of it
//	peer health       reads whose health to watch as JSON, prints each status as a line of JSON until the stream ends
//
// The generator of Kratos' HTTP code cannot be had from the module proxy, so contract.go does by reflection on the
// contract, at run time, what that generator writes down: the same steps in the same order, through the same functions.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"
)

func main() {
	command := ""
	if len(os.Args) > 1 {
		command = os.Args[1]
	}
	switch {
	case command == "serve" && (len(os.Args) == 3 || len(os.Args) == 4):
		limit, err := time.ParseDuration(os.Args[2])
		fail(err)
		found, err := registryOf(strings.Join(os.Args[3:], ""))
		fail(err)
		fail(serve(limit, found))
	case command == "call":
		var wanted scenario
		fail(json.NewDecoder(os.Stdin).Decode(&wanted))
		fail(json.NewEncoder(os.Stdout).Encode(wanted.run()))
	case command == "health":
		var wanted watched
		fail(json.NewDecoder(os.Stdin).Decode(&wanted))
		fail(wanted.run())
	default:
		fail(fmt.Errorf("usage: %s serve LIMIT [REGISTRY]|call|health", os.Args[0]))
	}
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

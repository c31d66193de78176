// A peer of the tests: the same contract served and called by Kratos for Go.
//
//	peer serve        serves HTTP and gRPC, prints one line of JSON with both addresses, ends with its standard input
//	peer call         reads one scenario as JSON, makes that call, prints what came of it
//
// The generator of Kratos' HTTP code cannot be had from the module proxy, so contract.go does by reflection on the
// contract, at run time, what that generator writes down: the same steps in the same order, through the same functions.
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

func main() {
	if len(os.Args) != 2 {
		fail(fmt.Errorf("usage: %s serve|call", os.Args[0]))
	}
	switch os.Args[1] {
	case "serve":
		fail(serve())
	case "call":
		var wanted scenario
		fail(json.NewDecoder(os.Stdin).Decode(&wanted))
		fail(json.NewEncoder(os.Stdout).Encode(wanted.run()))
	default:
		fail(fmt.Errorf("%s is neither serve nor call", os.Args[1]))
	}
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

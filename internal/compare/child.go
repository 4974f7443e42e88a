package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// childArg as the first argument makes this program, or its test, a child:
// what may crash or hang, or whose memory counts, runs in one.
const childArg = "child"

// child does what its parent asks and prints the answer.
func child(args []string) {
	p := peerNamed(args[2])
	switch args[0] {
	case "probe":
		for _, q := range questions {
			if q.name == args[1] {
				fmt.Print(q.probe(p))
			}
		}
	case "memory":
		for _, l := range loads {
			if l.name == args[1] {
				tasks := l.prepare()
				if l.offers(p) {
					l.run(p, tasks)
				}
				fmt.Print(peakMemory())
				runtime.KeepAlive(tasks)
			}
		}
	}
}

// errHangs and errCrashes are how a child may end.
var (
	errHangs   = errors.New("hangs")
	errCrashes = errors.New("crashes the program")
)

// ask runs a child and returns what it printed, and what it wrote to its
// standard error.
func ask(ctx context.Context, patience time.Duration, args ...string) (answer, log string, err error) {
	self, err := os.Executable()
	if err != nil {
		return "", "", err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, self, append([]string{childArg}, args...)...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	switch {
	case err == nil:
		return stdout.String(), stderr.String(), nil
	case ctx.Err() != nil, strings.Contains(stderr.String(), "all goroutines are asleep"):
		return "", "", errHangs
	case strings.Contains(stderr.String(), "panic: "):
		return "", "", errCrashes
	}
	return "", "", fmt.Errorf("%w: %s", err, stderr.String())
}

// nobody stands for no peer: the list of tasks alone.
const nobody = "(the list alone)"

// peerNamed finds a peer.
func peerNamed(name string) *peer {
	for _, p := range append(peers(), peer{name: nobody}) {
		if p.name == name {
			return &p
		}
	}
	panic("no such library: " + name)
}

package main

import (
	"os"
	"runtime/trace"
)

// startTrace begins to record an execution trace, if one is wanted, until stop
// is called.
func (c config) startTrace() (stop func(), err error) {
	if c.trace == "" {
		return func() {}, nil
	}
	file, err := os.Create(c.trace)
	if err != nil {
		return nil, err
	}
	if err := trace.Start(file); err != nil {
		file.Close()
		return nil, err
	}
	return func() {
		trace.Stop()
		file.Close()
	}, nil
}

package main

import (
	"bytes"
	"context"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMillionTellsItsMemory(t *testing.T) {
	var out bytes.Buffer
	require.Equal(t, allHere, million(t.Context(), config{}, 1000, &out))
	assert.Len(t, regexp.MustCompile(`(?m)^ +\d+00 tasks +\d+ ms +[+-]\d+ kB`).FindAllString(out.String(), -1), 10, out.String())
	assert.Regexp(t, `\d+ ns for each task\n$`, out.String())
}

func TestMillionEndsWithItsTime(t *testing.T) {
	var out bytes.Buffer
	require.Equal(t, someFailed, million(t.Context(), config{timeout: time.Nanosecond}, 1000, &out))
	assert.Contains(t, out.String(), "time is up after 1ns")
}

func TestMillionIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out bytes.Buffer
	require.Equal(t, interrupted, run(ctx, 5, []string{"-million"}, nil, &out, &out))
	assert.Contains(t, out.String(), "0 of 1000000 tasks were done")
}

package main

import (
	"bytes"
	"context"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMillionTellsItsMemory(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, million(t.Context(), config{}, 1000, &out))
	assert.Len(t, regexp.MustCompile(`(?m)^ +\d+00 tasks +\d+ ms +[+-]\d+ kB`).FindAllString(out.String(), -1), 10, out.String())
	assert.Regexp(t, `\d+ ns for each task\n$`, out.String())
}

func TestMillionEndsWithItsTime(t *testing.T) {
	o := demo(t, "", "-million", "-timeout", "1ns")
	assert.Equal(t, outcome{status: someFailed, stderr: "demo: time is up after 1ns: 0 of 1000000 tasks were done\n"}, o)
}

func TestMillionIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr bytes.Buffer
	require.Equal(t, interrupted, run(ctx, 5, []string{"-million"}, nil, &stdout, &stderr))
	assert.Equal(t, "demo: context canceled: 0 of 1000000 tasks were done\n", stderr.String())
	assert.Empty(t, stdout.String())
}

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/ascompleted/await/internal/recipes/remote/keys"
)

const usage = `usage: remote [-http] [-workers N] [-jobs N] [-kill=false]
       remote -keys DIR -url URL [-workers N] [-jobs N] [-kill=false]
       remote -worker -keys DIR -url URL [-name NAME]
       remote -keys DIR -make HOST,HOST...
       remote -bench [-jobs N] [-rounds N]

Remote loops over jobs that other processes do, and shows each result when it
arrives. By itself it starts a NATS server in its own process and some workers,
and queues jobs that take up to a second. It kills one worker in the middle of
a job, which another one then does: that result comes late.

  -http          send the jobs straight to the workers, with net/http, in place
                 of a queue on NATS
  -workers N     start N worker processes (default 4); with -url it may be 0,
                 if workers run elsewhere
  -jobs N        have N jobs done (default 20); with -bench, by each worker
  -kill=false    kill no worker. One alone is never killed.

Across machines, all need keys, and a NATS server on one of them:

  -keys DIR      use the keys in this folder; without it, remote makes new ones
                 for this run. go run -C changes the folder: write a whole path.
  -make HOSTS    make the folder -keys, and in it keys for servers on these
                 hosts, names or addresses with commas between. The folder also
                 gets server.conf: start the server with nats-server -c.
  -url URL       use the NATS server at this URL, say nats://HOST:4222
  -worker        be a worker of that server, until Ctrl-C
  -name NAME     the worker's name (default: the host and the process)

What it costs:

  -bench         print what a job costs next to a plain request
  -rounds N      take the median of N rounds (default 5)
  -peer          answer plain requests; -bench starts such processes

  -h             show this help

Ctrl-C (or SIGTERM) ends the run and its workers; a second one kills remote at
once.

The exit status is 0 if all jobs are done, or after Ctrl-C or SIGTERM, and 1 if
one has failed, for a bad flag, or if something else goes wrong.
`

// config is what the flags say.
type config struct {
	worker        bool
	name, url     string
	keys          keys.Dir
	hosts         string
	http          bool
	workers, jobs int
	kill          bool
	bench, peer   bool
	rounds        int
}

func parse(args []string) (c config, err error) {
	flags := flag.NewFlagSet("remote", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // run shows the help, and main the error
	flags.IntVar(&c.workers, "workers", 4, "")
	flags.IntVar(&c.jobs, "jobs", 20, "")
	flags.BoolVar(&c.kill, "kill", true, "")
	flags.StringVar(&c.url, "url", "", "")
	flags.BoolVar(&c.http, "http", false, "")
	flags.BoolVar(&c.worker, "worker", false, "")
	flags.BoolVar(&c.bench, "bench", false, "")
	flags.IntVar(&c.rounds, "rounds", 5, "")
	flags.BoolVar(&c.peer, "peer", false, "")
	flags.StringVar((*string)(&c.keys), "keys", "", "")
	flags.StringVar(&c.hosts, "make", "", "")
	host, _ := os.Hostname()
	flags.StringVar(&c.name, "name", fmt.Sprintf("%s:%d", host, os.Getpid()), "")
	err = flags.Parse(args)
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		err = fmt.Errorf("%w (-h shows the help)", err)
	}
	return c, err
}

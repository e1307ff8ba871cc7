package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// sample is what one run of a command took.
type sample struct {
	seconds float64
	// peakKiB is the largest resident size of the command's process or, for a
	// shell pipeline, of the largest process in it.
	peakKiB int64
}

// measure runs the command to its end. What it prints is shown only on failure.
func measure(ctx context.Context, c command) (sample, error) {
	cmd := exec.CommandContext(ctx, c.argv[0], c.argv[1:]...)
	cmd.Env = append(os.Environ(), c.env...)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output

	start := time.Now()
	if err := cmd.Start(); err != nil {
		return sample{}, err
	}
	watched := make(chan int64, 1)
	watch, unwatch := context.WithCancel(ctx)
	go func() { watched <- watchPeak(watch, cmd.Process.Pid) }()
	err := cmd.Wait()
	s := sample{seconds: time.Since(start).Seconds()}
	unwatch()
	s.peakKiB = <-watched
	if err != nil {
		return sample{}, fmt.Errorf("%s: %w\n%s", strings.Join(c.argv, " "), err, output.String())
	}
	if c.wholeTree {
		s.peakKiB = cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss
	}
	return s, nil
}

// watchPeak reads the kernel's own high-water mark until ctx ends. The resource
// usage that wait4 returns would count pg_dump and psql in.
func watchPeak(ctx context.Context, pid int) int64 {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	var peak int64
	for {
		peak = max(peak, peakOf(pid))
		select {
		case <-ctx.Done():
			return peak
		case <-tick.C:
		}
	}
}

// peakOf returns VmHWM in KiB, or 0 when the process is gone.
func peakOf(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kib
		}
	}
	return 0
}

// medianSeconds needs at least one sample.
func medianSeconds(samples []sample) float64 {
	seconds := make([]float64, len(samples))
	for i, s := range samples {
		seconds[i] = s.seconds
	}
	slices.Sort(seconds)
	middle := len(seconds) / 2
	if len(seconds)%2 == 1 {
		return seconds[middle]
	}
	return (seconds[middle-1] + seconds[middle]) / 2
}

func peakMiB(samples []sample) float64 {
	var peak int64
	for _, s := range samples {
		peak = max(peak, s.peakKiB)
	}
	return float64(peak) / 1024
}

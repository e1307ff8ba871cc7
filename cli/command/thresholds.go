package command

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pgharbor/pgharbor/cli/internal/output"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

func thresholdsCommand(a *app) *cobra.Command {
	return noun("thresholds", "How much is too much for health, by pattern of INSTANCE/DATABASE",
		thresholdsListCommand(a), thresholdsSetCommand(a), thresholdsRemoveCommand(a))
}

func thresholdsListCommand(a *app) *cobra.Command {
	return a.printing(&cobra.Command{
		Use:   "list",
		Short: "List the thresholds; what a narrower pattern sets is laid over what a wider one does",
		Args:  cobra.NoArgs,
		RunE: a.connected(func(ctx context.Context, conn *grpc.ClientConn, _ []string) error {
			response, err := pgharborv1.NewHealthServiceClient(conn).ListThresholds(ctx, &pgharborv1.ListThresholdsRequest{})
			if err != nil {
				return err
			}
			return a.out.Print(response, func() error { return thresholdTable(response).Write(a.out.Stdout, "") })
		}),
	})
}

func thresholdTable(response *pgharborv1.ListThresholdsResponse) *output.Table {
	table := output.NewTable("PATTERN", ">STALE AFTER", ">SIZE", ">HANGS AFTER", ">MISSED AFTER", ">CLOCK", ">CERTIFICATE", ">PROOF WITHIN", "ENCRYPTION", "IGNORE", "SET BY")
	add := func(pattern string, t *pgharborv1.Threshold) {
		percent := ""
		if t.GetSizePercent() != 0 {
			percent = strconv.Itoa(int(t.GetSizePercent())) + " %"
		}
		table.Add(pattern, lasting(t.GetStaleAfter()), percent, lasting(t.GetHangAfter()), lasting(t.GetMissedAfter()),
			lasting(t.GetClockOffset()), lasting(t.GetCertificateLeft()), lasting(t.GetProofWithin()),
			yes(t.GetEncryption()), yes(t.GetIgnore()), output.Name(t.GetSetBy()))
	}
	add("(default)", response.GetDefaults())
	for _, t := range response.GetThresholds() {
		add(output.Name(t.GetPattern()), t)
	}
	return table
}

func lasting(d *durationpb.Duration) string {
	if d == nil {
		return ""
	}
	return output.Duration(d.AsDuration())
}

func yes(set bool) string {
	if set {
		return "yes"
	}
	return ""
}

func thresholdsSetCommand(a *app) *cobra.Command {
	var t pgharborv1.Threshold
	var cmd *cobra.Command
	cmd = a.printing(&cobra.Command{
		Use:   "set PATTERN",
		Short: "Set thresholds of a pattern such as 'shop-db/*'; others that it had stay, and remove takes all away",
		Args:  cobra.ExactArgs(1),
		RunE: a.connected(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
			t.Pattern = args[0]
			health := pgharborv1.NewHealthServiceClient(conn)
			all, err := health.ListThresholds(ctx, &pgharborv1.ListThresholdsRequest{})
			if err != nil {
				return err
			}
			for _, stands := range all.GetThresholds() {
				if stands.GetPattern() == t.GetPattern() {
					keepThresholds(&t, stands, cmd.Flags().Changed)
				}
			}
			response, err := health.SetThreshold(ctx, &pgharborv1.SetThresholdRequest{Threshold: &t})
			if err != nil {
				return err
			}
			return a.out.Print(response, func() error {
				_, err := fmt.Fprintf(a.out.Stdout, "Set for %s, which has now %s.\n", output.Name(args[0]), thresholdFlags(response.GetThreshold()))
				return err
			})
		}),
	})
	a.approvable(cmd)
	flags := cmd.Flags()
	for name, of := range map[string]lasts{
		"stale-after":      {to: &t.StaleAfter, usage: "age that the newest backup must not reach"},
		"hang-after":       {to: &t.HangAfter, usage: "how long a run may take of which nothing is known"},
		"missed-after":     {to: &t.MissedAfter, usage: "how long after its time a scheduled run must have begun"},
		"clock-offset":     {to: &t.ClockOffset, usage: "how far the agent's clock may be off"},
		"certificate-left": {to: &t.CertificateLeft, usage: "what must be left of the agent's certificate"},
		"proof-within":     {to: &t.ProofWithin, usage: "how old the newest successful test restore may be"},
	} {
		flags.Var(&of, name, of.usage)
	}
	flags.Int32Var(&t.SizePercent, "size-percent", 0, "how far a size may be off the median of 7 days")
	flags.BoolVar(&t.Encryption, "encryption", false, "plain files are not enough")
	flags.BoolVar(&t.Ignore, "ignore", false, "report nothing of it")
	return cmd
}

// keepThresholds adds to what is set what stands already and was not given anew.
func keepThresholds(t, stands *pgharborv1.Threshold, given func(flag string) bool) {
	keep := func(to **durationpb.Duration, from *durationpb.Duration) {
		if *to == nil {
			*to = from
		}
	}
	keep(&t.StaleAfter, stands.GetStaleAfter())
	keep(&t.HangAfter, stands.GetHangAfter())
	keep(&t.MissedAfter, stands.GetMissedAfter())
	keep(&t.ClockOffset, stands.GetClockOffset())
	keep(&t.CertificateLeft, stands.GetCertificateLeft())
	keep(&t.ProofWithin, stands.GetProofWithin())
	if !given("size-percent") {
		t.SizePercent = stands.GetSizePercent()
	}
	if !given("encryption") {
		t.Encryption = stands.GetEncryption()
	}
	if !given("ignore") {
		t.Ignore = stands.GetIgnore()
	}
}

// exactly formats a length of time as a flag takes it, such as 50h or 1h30m.
func exactly(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// thresholdFlags are the flags that set what a pattern has.
func thresholdFlags(t *pgharborv1.Threshold) string {
	var flags []string
	add := func(flag string, d *durationpb.Duration) {
		if d != nil {
			flags = append(flags, flag+" "+exactly(d.AsDuration()))
		}
	}
	add("--stale-after", t.GetStaleAfter())
	add("--hang-after", t.GetHangAfter())
	add("--missed-after", t.GetMissedAfter())
	add("--clock-offset", t.GetClockOffset())
	add("--certificate-left", t.GetCertificateLeft())
	add("--proof-within", t.GetProofWithin())
	if t.GetSizePercent() != 0 {
		flags = append(flags, "--size-percent "+strconv.Itoa(int(t.GetSizePercent())))
	}
	if t.GetEncryption() {
		flags = append(flags, "--encryption")
	}
	if t.GetIgnore() {
		flags = append(flags, "--ignore")
	}
	return strings.Join(flags, " ")
}

func thresholdsRemoveCommand(a *app) *cobra.Command {
	cmd := a.printing(&cobra.Command{
		Use:   "remove PATTERN",
		Short: "Remove the thresholds of a pattern",
		Args:  cobra.ExactArgs(1),
		RunE: a.connected(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
			response, err := pgharborv1.NewHealthServiceClient(conn).RemoveThreshold(ctx, &pgharborv1.RemoveThresholdRequest{Pattern: args[0]})
			if err != nil {
				return err
			}
			return a.out.Print(response, func() error {
				_, err := fmt.Fprintf(a.out.Stdout, "Removed those of %s.\n", output.Name(args[0]))
				return err
			})
		}),
	})
	a.approvable(cmd)
	return cmd
}

// lasts is a flag value: a length of time, which may be given in days too (30d).
type lasts struct {
	to    **durationpb.Duration
	usage string
}

// Set implements pflag.Value.
func (l *lasts) Set(text string) error {
	length, err := time.ParseDuration(text)
	if number, ok := strings.CutSuffix(text, "d"); ok {
		var days uint64
		days, err = strconv.ParseUint(number, 10, 16)
		length = time.Duration(days) * 24 * time.Hour
	}
	if err != nil || length <= 0 {
		return fmt.Errorf("must be a time such as 90m, 36h or 7d")
	}
	*l.to = durationpb.New(length)
	return nil
}

// String implements pflag.Value.
func (l *lasts) String() string {
	if l.to == nil || *l.to == nil {
		return ""
	}
	return (*l.to).AsDuration().String()
}

// Type implements pflag.Value.
func (l *lasts) Type() string { return "time" }

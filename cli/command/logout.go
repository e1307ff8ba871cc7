package command

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/pgharbor/pgharbor/cli/internal/output"
	"github.com/pgharbor/pgharbor/controlplane/client"
	"github.com/pgharbor/pgharbor/internal/exit"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

func logoutCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "logout",
		Short: "End the login of this machine: its device is revoked, and its key removed",
		Args:  cobra.NoArgs,
		RunE:  a.run(func(ctx context.Context, _ []string) error { return logout(ctx, a) }),
	}
}

// logout revokes before it removes: a key that is gone can't end its device.
func logout(ctx context.Context, a *app) error {
	dir, err := a.logins.CurrentIdentity()
	if err != nil {
		return err
	}
	identity, err := client.Load(dir)
	if errors.Is(err, client.ErrNotEnrolled) {
		return exit.Fail(exit.Denied, "you are not logged in").WithHint("pgharbor login INVITE")
	}
	if err != nil {
		return err
	}
	conn, err := a.session.Dial(ctx, identity)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := revokeThisDevice(ctx, conn); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("the device is revoked, and its key can't be removed: %w", err)
	}
	_, err = fmt.Fprintf(a.out.Stdout, "Logged out: this machine is no longer %s at %s.\n", output.Name(identity.Name()), identity.Address())
	return err
}

func revokeThisDevice(ctx context.Context, conn *grpc.ClientConn) error {
	service := pgharborv1.NewIdentityServiceClient(conn)
	devices, err := service.ListDevices(ctx, &pgharborv1.ListDevicesRequest{})
	if err != nil {
		return err
	}
	for _, device := range devices.GetDevices() {
		if device.GetCurrent() {
			_, err = service.RevokeDevice(ctx, &pgharborv1.RevokeDeviceRequest{DeviceId: device.GetId()})
		}
	}
	return err
}

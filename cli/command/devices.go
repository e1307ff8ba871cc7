package command

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/pgharbor/pgharbor/cli/internal/output"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

func usersDevicesCommand(a *app) *cobra.Command {
	return a.printing(&cobra.Command{
		Use:   "devices [NAME]",
		Short: "List your devices, or those of another person",
		Args:  cobra.MaximumNArgs(1),
		RunE: a.connected(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
			devices, err := devicesOf(ctx, conn, args)
			if err != nil {
				return err
			}
			return a.out.Print(devices, func() error { return deviceTable(devices.GetDevices(), a.out.Now()).Write(a.out.Stdout, "No devices.") })
		}),
	})
}

// devicesOf returns the devices of the named person, or of the caller.
func devicesOf(ctx context.Context, conn *grpc.ClientConn, args []string) (*pgharborv1.ListUserDevicesResponse, error) {
	mine := len(args) == 0
	if !mine {
		var err error
		if mine, err = isMe(ctx, conn, args[0]); err != nil {
			return nil, err
		}
	}
	if !mine {
		return pgharborv1.NewUserServiceClient(conn).ListUserDevices(ctx, &pgharborv1.ListUserDevicesRequest{Name: args[0]})
	}
	own, err := pgharborv1.NewIdentityServiceClient(conn).ListDevices(ctx, &pgharborv1.ListDevicesRequest{})
	return &pgharborv1.ListUserDevicesResponse{Devices: own.GetDevices()}, err
}

// isMe returns whether the caller is the named person. People may list and revoke their own devices without any
// permission.
func isMe(ctx context.Context, conn *grpc.ClientConn, name string) (bool, error) {
	me, err := pgharborv1.NewIdentityServiceClient(conn).GetIdentity(ctx, &pgharborv1.GetIdentityRequest{})
	return me.GetName() == name, err
}

func deviceTable(devices []*pgharborv1.Device, now time.Time) *output.Table {
	table := output.NewTable("ID", "DEVICE", "STATE", "SINCE", ">LAST SEEN")
	for _, device := range devices {
		state, seen := "active", ""
		switch {
		case device.GetRevokedAt() != nil:
			state = "revoked"
		case device.GetCurrent():
			state = "this one"
		}
		if device.GetLastSeenAt() != nil {
			seen = output.Age(device.GetLastSeenAt(), now) + " ago"
		}
		table.Add(output.Name(device.GetId()), output.Line(device.GetName()), state,
			output.Time(device.GetEnrolledAt(), now.Location()), seen)
	}
	return table
}

func revokeDevice(ctx context.Context, out *output.Printer, conn *grpc.ClientConn, name, id string) error {
	mine, err := isMe(ctx, conn, name)
	if err != nil {
		return err
	}
	response := &pgharborv1.RevokeUserDeviceResponse{}
	if mine {
		own, revokeErr := pgharborv1.NewIdentityServiceClient(conn).RevokeDevice(ctx, &pgharborv1.RevokeDeviceRequest{DeviceId: id})
		response.Device, err = own.GetDevice(), revokeErr
	} else {
		response, err = pgharborv1.NewUserServiceClient(conn).RevokeUserDevice(ctx,
			&pgharborv1.RevokeUserDeviceRequest{Name: name, DeviceId: id})
	}
	if err != nil {
		return err
	}
	return out.Print(response, func() error {
		_, err := fmt.Fprintf(out.Stdout, "Revoked the device %s (%s) of %s.\n", output.Name(response.GetDevice().GetId()),
			output.Line(response.GetDevice().GetName()), output.Name(name))
		return err
	})
}

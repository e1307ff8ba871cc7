package api

import (
	"context"

	"github.com/pgharbor/pgharbor/controlplane/api/guard"
	"github.com/pgharbor/pgharbor/controlplane/audit"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/session"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

func (s *identityService) ListDevices(ctx context.Context, _ *pgharborv1.ListDevicesRequest) (*pgharborv1.ListDevicesResponse, error) {
	devices, err := s.devices(ctx, guard.CallerFrom(ctx).Name)
	if err != nil {
		return nil, err
	}
	return &pgharborv1.ListDevicesResponse{Devices: devices}, nil
}

func (s *identityService) RevokeDevice(ctx context.Context, request *pgharborv1.RevokeDeviceRequest) (*pgharborv1.RevokeDeviceResponse, error) {
	device, err := s.revokeDevice(ctx, guard.CallerFrom(ctx).Name, request.GetDeviceId())
	if err != nil {
		return nil, err
	}
	return &pgharborv1.RevokeDeviceResponse{Device: device}, nil
}

func (s *userService) ListUserDevices(ctx context.Context, request *pgharborv1.ListUserDevicesRequest) (*pgharborv1.ListUserDevicesResponse, error) {
	devices, err := s.devices(ctx, request.GetName())
	if err != nil {
		return nil, err
	}
	return &pgharborv1.ListUserDevicesResponse{Devices: devices}, nil
}

func (s *userService) RevokeUserDevice(ctx context.Context, request *pgharborv1.RevokeUserDeviceRequest) (*pgharborv1.RevokeUserDeviceResponse, error) {
	device, err := s.revokeDevice(ctx, request.GetName(), request.GetDeviceId())
	if err != nil {
		return nil, err
	}
	return &pgharborv1.RevokeUserDeviceResponse{Device: device}, nil
}

func (a *API) devices(ctx context.Context, user string) ([]*pgharborv1.Device, error) {
	devices, err := a.Catalog.Devices.List(ctx, user)
	if err != nil {
		return nil, err
	}
	return toProto(devices, deviceOf(ctx)), nil
}

func (a *API) revokeDevice(ctx context.Context, user, id string) (*pgharborv1.Device, error) {
	owner := fleet.Caller{Kind: fleet.CallerUser, Name: user}
	if !fleet.ValidID(id) { // the audit log keeps no texts that name nothing
		return nil, fleet.NewProblem(fleet.ErrNotFound, "there is no device %q of %s", id, owner)
	}
	by := guard.CallerFrom(ctx).String()
	action := audit.Action{Actor: by, Action: "device.revoke", Target: "device:" + id, Detail: "of " + owner.String()}
	device, err := a.Catalog.Devices.Get(ctx, user, id)
	if err != nil {
		return nil, a.Audit.RefusedBefore(ctx, action, err)
	}
	revoke := a.Audit.Do
	if !device.RevokedAt.IsZero() { // it changes nothing, however often
		revoke = a.Audit.Often
	}
	err = revoke(ctx, action, func() (err error) {
		device, err = a.Catalog.Devices.Revoke(ctx, user, id, by, a.Now().UTC())
		return err
	})
	if err != nil {
		return nil, err
	}
	a.Notifications.Notify(session.CallerChannel(owner.String()))
	return deviceOf(ctx)(device), nil
}

// deviceOf converts a device for the caller.
func deviceOf(ctx context.Context) func(fleet.Device) *pgharborv1.Device {
	this := guard.CallerFrom(ctx).Identity
	return func(d fleet.Device) *pgharborv1.Device {
		return &pgharborv1.Device{
			Id: d.ID, Name: d.Name, EnrolledAt: stamp(d.EnrolledAt), LastSeenAt: stamp(d.LastSeenAt), RevokedAt: stamp(d.RevokedAt),
			Current: d.ID == this,
		}
	}
}

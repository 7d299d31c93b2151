# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
#
# The x86 bed: QEMU's software emulation of an AMD EPYC, whose SVM gives L1 a complete KVM with
# nested paging.
#
# A bed is a file of these variables and one function, bed_qemu; adding an architecture means adding
# one.

bed_arch=amd64				# Debian architecture of L1 and L2
bed_kernels="6.1-cloud 6.12-cloud 6.12"	# what @NAME can be in L2; lines of the file kernels
bed_l1_kernel=6.12-cloud		# the quickest to boot
bed_programs=(qemu-system-x86_64)
bed_boot_timeout=90			# seconds until L1 must be up; on an idle machine 4 will do

# Modules that L1 loads when it starts ...
bed_l1_load="virtio_pci virtio_console kvm_amd"
# ... and those that lie ready for modprobe in a job. What a kernel has built in or does not have is
# left out.
bed_l1_modules="vfio vfio_iommu_type1 vfio_pci tun tap vhost_net vhost_vsock
	nvme ahci sd_mod e1000 e1000e vmxnet3 8139cp virtio_blk virtio_net"
# The same for L2; nothing is loaded there but on request (see l2/init).
bed_l2_modules="ext4 pvpanic pvpanic-mmio pvpanic-pci
	virtio_pci virtio_mmio virtio_blk virtio_net virtio_console virtio_balloon virtio-rng
	9p 9pnet_virtio virtiofs vsock vmw_vsock_virtio_transport
	nvme ahci sd_mod e1000 e1000e vmxnet3 8139cp"

# Each parameter and option below answers a fault that was seen:
#	-cx16			QEMU 7.2's cmpxchg16b corrupts EFLAGS under SVM: L2 dies
#	nohz=off highres=off	without them L1 freezes now and then
#	-cpu EPYC, not max	L2 hangs at init with QEMU 11.1 and max
bed_l1_params="console=ttyS0 panic=-1 nohz=off highres=off"

# The hardware of L1, by name. A job that needs more than plain says profile=NAME.
#	plain	nothing but what the bed itself uses: the quickest
#	vfio	an IOMMU, and devices to pass through, each in a group of its own
bed_profiles="plain vfio"

# bed_profile PROFILE DIR: sets profile_qemu, profile_params; DIR is for disk images
bed_profile() {
	profile_qemu=()
	profile_params=
	[ "$1" = vfio ] || return 0

	truncate -s 16M "$2/ahci.img" "$2/nvme.img"
	printf 'lkvm test bed: ahci\n' | dd of="$2/ahci.img" conv=notrunc status=none
	printf 'lkvm test bed: nvme\n' | dd of="$2/nvme.img" conv=notrunc status=none
	profile_params="intel_iommu=on"
	profile_qemu=(
		-device "intel-iommu,intremap=on,caching-mode=on"
		-device "pcie-root-port,id=port1,chassis=1,slot=1"
		-device "pcie-root-port,id=port2,chassis=2,slot=2"
		# MSI without per-vector masking
		-drive "if=none,id=ahci,file=$2/ahci.img,format=raw,snapshot=on"
		-device "ich9-ahci,id=sata,addr=0x10" -device "ide-hd,bus=sata.0,drive=ahci"
		# the MSI-X table shares a BAR with registers
		-drive "if=none,id=nvme,file=$2/nvme.img,format=raw,snapshot=on"
		-device "nvme,bus=port1,drive=nvme,serial=bed"
		# MSI-X in a BAR of its own
		-netdev "user,id=net1" -device "e1000e,bus=port2,netdev=net1,romfile="
		# MSI, and simple enough for a bare-metal guest to drive
		-device "edu,addr=0x11"
		# INTx alone
		-netdev "user,id=net2" -device "e1000,addr=0x14,netdev=net2,romfile="
	)
}

# bed_qemu KERNEL INITRD PARAMS CPUS MEMORY: sets qemu; the caller adds the console, ports and
# profile_qemu
bed_qemu() {
	qemu=(
		qemu-system-x86_64 -M q35 -accel "tcg,thread=multi" -cpu "EPYC,-cx16"
		-smp "$4" -m "$5"
		-nodefaults -display none -no-reboot -device virtio-serial-pci
		-kernel "$1" -initrd "$2" -append "$bed_l1_params $3"
	)
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ACPI fixed hardware: power management events and control, the PM timer, the power button.
 */
#ifndef KVM_HW_ACPI_PM_H
#define KVM_HW_ACPI_PM_H

#include <stdint.h>

struct device;
struct device_host;

/**
 * struct acpi_pm_config - what the FADT says
 * @event:    PM1a event block: 4 ports
 * @control:  PM1a control block: 2 ports
 * @timer:    PM timer: 4 ports, 32 bits wide (FADT flag TMR_VAL_EXT)
 * @sci:      GSI of the system control interrupt: level, active high in this model
 * @s5_type:  SLP_TYP that powers off, as \_S5 says
 */
struct acpi_pm_config {
	uint16_t event, control, timer;
	unsigned int sci;
	uint8_t s5_type;
};

/**
 * acpi_pm__create - ACPI specification 6.5, section 4.8
 *
 * The machine is always in ACPI mode (SCI_EN reads as one): FADT's SMI_CMD is 0.
 * Powering off reports FATE_POWEROFF.
 *
 * Return: the device, or NULL without memory.
 */
struct device *acpi_pm__create(const struct device_host *host, const struct acpi_pm_config *cfg);

/**
 * acpi_pm__power_button - press the power button; any thread
 * @dev: from acpi_pm__create()
 */
void acpi_pm__power_button(struct device *dev);

#endif

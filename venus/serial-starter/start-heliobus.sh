#!/bin/bash
# Started by serial-starter with the name of a tty. Its run-service.sh sets $tty and has `start`, which runs $app.
. /opt/victronenergy/serial-starter/run-service.sh

app=/data/apps/heliobus/current/bin/heliobus
start run --tty "$tty"

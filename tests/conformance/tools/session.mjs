// A charging session by a strict client that this project did not write: node session.mjs URL ID PROTOCOL
// Every request and answer in both directions is held against the standard's schemas by the client itself.
// One JSON object a line on standard output; exit status 1 where anything was complained of.
import { createRPCError, RPCClient } from "ocpp-rpc";

const [endpoint, identity, protocol] = process.argv.slice(2);
const say = (event, body = {}) => console.log(JSON.stringify({ event, ...body }));
const now = () => new Date().toISOString();
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const complaints = [];

const client = new RPCClient({ endpoint, identity, protocols: [protocol], strictMode: true, reconnect: false });
for (const name of ["strictValidationFailure", "badMessage"]) {
  client.on(name, (what) => complaints.push(`${name}: ${what?.error?.message ?? JSON.stringify(what)}`));
}

let profiles = 0;
client.handle("SetChargingProfile", ({ params }) => {
  profiles += 1;
  const profile = params.csChargingProfiles ?? params.chargingProfile;
  say("profile", { purpose: profile.chargingProfilePurpose, level: profile.stackLevel });
  return { status: "Accepted" };
});
client.handle("TriggerMessage", () => ({ status: "Accepted" }));
client.handle("ClearChargingProfile", () => ({ status: "Accepted" }));
client.handle(({ method }) => {
  say("unhandled", { method });
  throw createRPCError("NotSupported");
});

const call = async (method, params) => {
  const answer = await client.call(method, params);
  say("answer", { method, answer });
  return answer;
};

async function session16() {
  await call("BootNotification", { chargePointVendor: "Strict", chargePointModel: "Client" });
  const status = (word) =>
    call("StatusNotification", { connectorId: 1, errorCode: "NoError", status: word, timestamp: now() });
  await status("Preparing");
  await call("Heartbeat", {});
  await call("Authorize", { idTag: "NL-WST-C00000001" });
  const { transactionId } = await call("StartTransaction", {
    connectorId: 1, idTag: "NL-WST-C00000001", meterStart: 1000, timestamp: now(),
  });
  await status("Charging");
  await call("MeterValues", {
    connectorId: 1, transactionId,
    meterValue: [{ timestamp: now(), sampledValue: [
      { value: "1010", measurand: "Energy.Active.Import.Register", unit: "Wh", context: "Sample.Periodic" },
      { value: "6000", measurand: "Power.Active.Import", unit: "W", context: "Sample.Periodic" },
    ] }],
  });
  await call("DataTransfer", { vendorId: "nobody" });
  await call("FirmwareStatusNotification", { status: "Idle" });
  say("ready");
  await pause(2500);
  await call("StopTransaction", { transactionId, meterStop: 1100, timestamp: now(), reason: "EVDisconnected" });
  await status("Available");
}

async function session2() {
  await call("BootNotification", {
    reason: "PowerUp", chargingStation: { model: "Client", vendorName: "Strict" },
  });
  const status = (word) =>
    call("StatusNotification", { timestamp: now(), connectorStatus: word, evseId: 1, connectorId: 1 });
  await status("Occupied");
  await call("Heartbeat", {});
  const idToken = { idToken: "NL-WST-C00000001", type: "eMAID" };
  await call("Authorize", { idToken });
  const transactionId = `strict-${Date.now()}`;
  let seqNo = 0;
  const event = (eventType, triggerReason, importWh, more = {}) =>
    call("TransactionEvent", {
      eventType, triggerReason, timestamp: now(), seqNo: seqNo++,
      transactionInfo: { transactionId, chargingState: "Charging", ...(more.info ?? {}) },
      evse: { id: 1, connectorId: 1 },
      meterValue: [{ timestamp: now(), sampledValue: [
        { value: importWh, measurand: "Energy.Active.Import.Register", unitOfMeasure: { unit: "Wh" } },
        { value: 6000, measurand: "Power.Active.Import", unitOfMeasure: { unit: "W" } },
      ] }],
      ...(more.event ?? {}),
    });
  await event("Started", "CablePluggedIn", 1000, { event: { idToken } });
  await event("Updated", "MeterValuePeriodic", 1010);
  await call("MeterValues", { evseId: 1, meterValue: [{ timestamp: now(), sampledValue: [{ value: 1011 }] }] });
  await call("NotifyEVChargingNeeds", {
    evseId: 1,
    chargingNeeds: {
      requestedEnergyTransfer: "AC_three_phase",
      acChargingParameters: { energyAmount: 20000, evMinCurrent: 6, evMaxCurrent: 16, evMaxVoltage: 230 },
    },
  });
  await call("SecurityEventNotification", { type: "StartupOfTheDevice", timestamp: now() });
  say("ready");
  await pause(2500);
  await event("Ended", "EVDeparted", 1100, { info: { stoppedReason: "EVDisconnected" } });
  await status("Available");
}

try {
  await client.connect();
  await (protocol === "ocpp1.6" ? session16() : session2());
  await client.close();
} catch (error) {
  complaints.push(`${error.name}: ${error.message}`);
}
if (profiles < 3) complaints.push(`only ${profiles} profiles came: the floor is two, the setpoint the third`);
say("end", { complaints });
process.exit(complaints.length ? 1 : 0);

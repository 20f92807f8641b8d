// What the guest's page says.

import { addTexts } from "../shared/language.js";
import "../shared/texts.js";

addTexts({
  title: ["테이블 {table} — Yabam", "Table {table} — Yabam"],
  session_soon: [
    "이 코드는 {minutes}분 뒤에 끝납니다. 테이블의 코드를 다시 스캔해 주세요.",
    "This code ends in {minutes} minutes. Scan the code on your table again.",
  ],
  session_last: [
    "이 코드는 1분 안에 끝납니다. 테이블의 코드를 다시 스캔해 주세요.",
    "This code ends within a minute. Scan the code on your table again.",
  ],
  session_ended: [
    "이 코드는 끝났습니다. 테이블의 코드를 다시 스캔해 주세요. 주문은 기다렸다가 전송됩니다.",
    "This code has ended. Scan the code on your table again: what you ordered waits, and is sent then.",
  ],
  renew: ["새 코드", "New code"],
  renewed: ["새 코드로 이어 갑니다.", "You go on with the new code."],
  renewTitle: ["새 코드로 이어 가기", "Go on with a new code"],
  renewLead: [
    "테이블의 코드를 다시 스캔하거나, 그 링크를 여기에 붙여 넣어 주세요. 화면은 그대로 남습니다.",
    "Scan the code on your table again, or paste its link here. The page stays as it is.",
  ],
  renewToken: ["코드의 링크", "Link of the code"],
  renewOther: [
    "다른 테이블의 코드이거나 다른 손님의 코드입니다.",
    "This code is of another table or of another guest.",
  ],
  scanTitle: ["테이블의 QR 코드를 스캔해 주세요", "Scan the code on your table"],
  scanLead: [
    "이 페이지는 테이블에 있는 코드로 열 수 있습니다. 직원에게 문의해 주셔도 됩니다.",
    "This page opens with the code that stands on your table. Or ask a member of staff.",
  ],
  tokenRole: ["테이블용 코드가 아닙니다.", "This code is not for a table."],
  orders: ["내 주문", "Your orders"],
  noOrders: ["아직 주문이 없습니다. 아래 메뉴에서 골라 주세요.", "No orders yet. Choose from the menu."],
  menu: ["메뉴", "Menu"],
  menuFault: ["메뉴를 불러오지 못했습니다. 다시 시도합니다.", "The menu could not be loaded. Trying again."],
  more: ["{dish} 하나 더", "One more {dish}"],
  less: ["{dish} 하나 빼기", "One {dish} fewer"],
  note: ["요청 사항", "Note to the kitchen"],
  noteHint: ["요청 사항 (예: 덜 맵게)", "Note to the kitchen"],
  order: ["{count}개 주문하기 · {total}", "Order {count} · {total}"],
  orderSending: ["주문 보내는 중…", "Sending your order…"],
  orderRetrying: ["연결을 기다리는 중 — 곧 다시 보냅니다", "No connection — it will be sent again"],
  orderWaitsForToken: ["새 코드를 기다리는 중 — 스캔하면 보냅니다", "Waits for a new code, then it is sent"],
  orderRefused: ["주문을 보내지 못했습니다: {detail}", "The order was not taken: {detail}"],
  cancel: ["취소", "Cancel"],
  cancelRefused: [
    "이미 주방에서 시작해 취소할 수 없습니다. 직원에게 말씀해 주세요.",
    "The kitchen has it already, so it cannot be cancelled here. Please ask the staff.",
  ],
  lineOther: ["현재 상태: {status}", "It is now: {status}"],
  reason: ["사유: {reason}", "Reason: {reason}"],
  announce: ["주문 {number}: {line}", "Order {number}: {line}"],
});

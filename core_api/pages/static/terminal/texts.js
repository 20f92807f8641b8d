// The texts of the owner's terminal.

import { addTexts } from "../shared/language.js";
import "../shared/texts.js";
import "./history/texts.js";
import "./kitchen/texts.js";

addTexts({
  title: ["주문 — Yabam", "Orders — Yabam"],
  titleNew: ["({count}) 새 주문 — Yabam", "({count}) new — Yabam"],
  tools: ["도구", "Tools"],
  columns: ["주문 단계", "Stages"],
  store: ["매장 {store}", "Store {store}"],

  signInTitle: ["매장 단말기", "Store terminal"],
  signInLead: [
    "매장에서 받은 토큰을 붙여 넣으면 주문을 받을 수 있습니다.",
    "Paste the token that you were given for your store to receive its orders.",
  ],
  token: ["토큰", "Token"],
  tokenHint: ["eyJ…", "eyJ…"],
  stores: ["매장 번호", "Store"],
  storesHint: ["예: 12 또는 12, 15", "for example 12, or 12, 15"],
  keep: ["이 기기에서 로그인 유지", "Keep me signed in on this device"],
  signIn: ["주문 받기", "Receive orders"],
  signOut: ["로그아웃", "Sign out"],
  pairOr: ["또는 다른 단말기의 코드로", "Or by a code from another terminal"],
  pairStore: ["매장 번호", "Store number"],
  pairCode: ["여섯 자리 코드", "Six-digit code"],
  pairCodeHint: ["주방 → 새 태블릿 연결", "Kitchen → New tablet"],
  pairIn: ["코드로 로그인", "Sign in by the code"],
  pairWrong: [
    "코드가 맞지 않거나 끝났습니다. 단말기에서 새 코드를 보여 주세요.",
    "This code is wrong or has expired. Show a new one on the terminal.",
  ],
  pairUnreachable: ["서버에 연결할 수 없습니다. 잠시 뒤 다시 시도해 주세요.", "No connection to the server. Try again in a moment."],
  tokenRole: [
    "매장 단말기용 토큰이 아닙니다. 점주(owner) 토큰이 필요합니다.",
    "This token is not for a store's terminal. It takes a token of role owner.",
  ],
  storesNeeded: [
    "이 토큰은 여러 매장에 쓸 수 있습니다. 매장 번호를 입력해 주세요.",
    "This token is good for more than one store. Say which.",
  ],
  storesOther: ["이 토큰으로는 매장 {store}을(를) 볼 수 없습니다.", "This token is not for store {store}."],

  new: ["새 주문", "New"],
  progress: ["진행 중", "In progress"],
  ready: ["준비 완료", "Ready"],
  done: ["마감", "Done"],
  emptyNew: ["새 주문을 기다리고 있습니다", "Waiting for the next order"],
  emptyProgress: ["조리 중인 주문이 없습니다", "Nothing on the stove"],
  emptyReady: ["나갈 주문이 없습니다", "Nothing to serve"],
  emptyDone: ["아직 나간 주문이 없습니다", "Nothing served yet"],

  total: ["합계", "Total"],
  ageNow: ["방금", "now"],
  ageMinutes: ["{minutes}분", "{minutes} min"],
  ageHours: ["{hours}시간 {minutes}분", "{hours} h {minutes} min"],
  sending: ["보내는 중…", "Sending…"],
  takeBack: ["{status}(으)로 되돌리기", "Take back to {status}"],
  undo: ["실행 취소", "Undo"],
  undoneByOthers: ["다른 사람이 그 사이에 바꾸었습니다.", "Somebody else has changed it since."],
  undoStep: ["{place} #{number} · {status}", "{place} #{number} · {status}"],
  sessionStrip: ["로그인 안내", "Your sign-in"],
  undoBar: ["방금 한 처리", "Steps just taken"],
  fold: ["접기", "Show less"],
  unfoldItems: ["{count}개 더 보기", "{count} more items"],
  unfoldNote: ["메모 전체 보기", "Whole note"],
  moreBelow: ["▼ 아래에 {count}건 더", "▼ {count} more below"],
  moreAbove: ["▲ 위에 {count}건 더", "▲ {count} more above"],
  toOldest: ["가장 오래된 주문으로", "To the oldest"],
  toNewest: ["가장 새 주문으로", "To the newest"],
  search: ["주문 찾기", "Find an order"],
  fullScreen: ["전체 화면", "Full screen"],

  marks_changed: ["주문이 바뀌었습니다", "Order changed"],
  marks_cancelled: ["취소되었습니다 — 조리를 멈추세요", "Cancelled — stop making it"],
  seen_changed: ["바뀐 내용 확인함", "I have seen it"],
  seen_cancelled: ["취소 확인함", "Stopped it"],
  announce_changed: ["{place} 주문 {number}이(가) 바뀌었습니다: {items}.", "{place}, order {number} was changed: {items}."],
  announce_cancelled: ["{place} 주문 {number}이(가) 취소되었습니다.", "{place}, order {number} was cancelled."],

  retrying: ["연결을 기다리는 중 — 곧 다시 보냅니다", "No connection — will be sent again"],
  waitsForToken: ["다시 로그인하면 보냅니다", "Waits until you sign in again"],
  reasonShown: ["사유: {reason}", "Reason: {reason}"],
  orderLabel: ["{place}, 주문 {number}, {status}, {age}, {items}, {total}", "{place}, order {number}, {status}, {age}, {items}, {total}"],

  announceNew: ["새 주문: {place}, {items}, {total}", "New order: {place}, {items}, {total}"],
  announceMany: ["새 주문 {count}건", "{count} new orders"],

  takenBack: ["{place} · 주문 {number}", "{place} · order {number}"],
  refusedFirst: [
    "다른 단말기가 먼저 처리했습니다. 지금 상태: {status}.",
    "Another terminal was first. It is {status} now.",
  ],
  refusedChanged: [
    "그 사이 주문 내용이 바뀌었습니다. 확인 후 다시 눌러 주세요.",
    "The order was changed in the meantime. Look at it again, then repeat.",
  ],
  refusedGone: ["주문을 찾을 수 없습니다.", "There is no such order any more."],
  refusedLate: ["누른 지 하루가 넘어 보내지 않았습니다.", "Not sent: it was pressed more than a day ago."],
  refusedForbidden: ["이 토큰으로는 할 수 없습니다.", "This token does not permit that."],
  refusedOther: ["서버가 받아들이지 않았습니다: {detail}", "The server refused it: {detail}"],

  faultPolling: [
    "실시간 연결이 끊겨 몇 초마다 확인하고 있습니다. 주문은 계속 들어옵니다.",
    "The live connection is down; checking every few seconds. Orders still arrive.",
  ],
  faultOffline: [
    "서버에 연결할 수 없습니다. 아래는 {time} 기준이며, 연결되면 자동으로 갱신됩니다.",
    "No connection to the server. This is how it stood at {time}; it catches up by itself.",
  ],
  faultUnsure: [
    "{time} 이후 서버에서 소식이 없습니다. 새 주문이 보이지 않을 수 있습니다.",
    "Nothing heard from the server since {time}. New orders may be missing.",
  ],
  faultOfflineNever: [
    "서버에 연결할 수 없습니다. 연결되면 주문이 표시됩니다.",
    "No connection to the server. Orders show as soon as there is one.",
  ],
  faultFailed: ["멈췄습니다: {detail}. 페이지를 새로 고쳐 주세요.", "Stopped: {detail}. Reload the page."],

  soundOn: ["소리 켜짐", "Sound on"],
  soundOff: ["소리 꺼짐", "Sound off"],
  soundBlocked: ["소리 막힘", "Sound blocked"],
  quiet: ["1분 조용히", "Quiet 1 min"],
  quietFor: ["조용히 {seconds}초", "Quiet {seconds} s"],
  soundHint: [
    "브라우저가 소리를 막고 있습니다. 여기를 눌러 알림음을 켜 주세요.",
    "Your browser is blocking sound. Tap here to hear new orders.",
  ],

  rejectTitle: ["주문을 거절할까요?", "Reject this order?"],
  cancelTitle: ["주문을 취소할까요?", "Cancel this order?"],
  rejectConfirm: ["거절하기", "Reject order"],
  cancelConfirm: ["취소하기", "Cancel order"],
  back: ["돌아가기", "Keep order"],
  reasonLegend: ["사유 (손님에게 표시됩니다)", "Reason (the guest sees it)"],
  reasonOther: ["직접 입력", "In your own words"],

  help: ["단축키", "Keys"],
  helpTitle: ["단축키", "Keys"],
  keyArrows: ["주문 사이 이동", "Move between orders"],
  keyNumbers: ["버튼 누르기", "Press the button with that number"],
  keyNew: ["가장 오래된 새 주문으로", "Go to the oldest new order"],
  keyUndo: ["마지막 처리 취소", "Undo the last step"],
  keySearch: ["주문 찾기", "Find an order"],
  keyHistory: ["지난 주문", "History of the day"],
  keySound: ["소리 켜기/끄기", "Sound on or off"],
  keyHelp: ["이 도움말", "This help"],
  leaving: [
    "아직 보내지 못한 처리가 있습니다. 로그아웃하면 사라집니다.",
    "Something that you pressed is not sent yet. Signing out drops it.",
  ],
});

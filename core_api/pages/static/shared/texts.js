// What both pages say.

import { addTexts } from "./language.js";

addTexts({
  lampStarting: ["연결 중", "Connecting"],
  lampLive: ["실시간", "Live"],
  lampPolling: ["주기 확인", "Polling"],
  lampOffline: ["오프라인", "Offline"],
  lampFailed: ["중단됨", "Stopped"],
  certainAt: ["{time} 기준 최신", "Up to date at {time}"],
  certainNever: ["아직 확인 전", "Not up to date yet"],
  certainLast: ["마지막 확인 {time}", "Last certain at {time}"],
  language: ["English", "한국어"],
  status_placed: ["접수 대기", "New"],
  status_accepted: ["수락됨", "Accepted"],
  status_preparing: ["조리 중", "Preparing"],
  status_ready: ["준비 완료", "Ready"],
  status_served: ["서빙 완료", "Served"],
  status_paid: ["결제 완료", "Paid"],
  status_rejected: ["거절됨", "Rejected"],
  status_cancelled: ["취소됨", "Cancelled"],
  table: ["테이블 {table}", "Table {table}"],
  counter: ["카운터", "Counter"],
  close: ["닫기", "Close"],
  tokenMalformed: [
    "토큰이 올바르지 않습니다. 처음부터 끝까지 모두 붙여 넣었는지 확인해 주세요.",
    "This is not a token. Check that you pasted all of it.",
  ],
  tokenExpired: ["토큰이 만료되었습니다. 새 토큰을 받아 주세요.", "This token has expired. Ask for a new one."],
  tokenRefused: [
    "서버가 토큰을 거절했습니다. 새 토큰을 받아 주세요.",
    "The server refused this token. Ask for a new one.",
  ],
});

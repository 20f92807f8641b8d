// The texts that the pages share.

import { addTexts } from "./language.js";

addTexts({
  lampStarting: ["연결 중", "Connecting"],
  lampLive: ["실시간", "Live"],
  lampLiveSocket: ["실시간 (WebSocket)", "Live (WebSocket)"],
  lampPolling: ["주기 확인", "Polling"],
  lampUnsure: ["확인 안 됨", "Not certain"],
  lampOffline: ["오프라인", "Offline"],
  lampFailed: ["중단됨", "Stopped"],
  certainAt: ["{time} 기준 최신", "Up to date at {time}"],
  certainNever: ["아직 확인 전", "Not up to date yet"],
  certainLast: ["마지막 확인 {time}", "Last certain at {time}"],
  language: ["English", "한국어"],
  table: ["테이블 {table}", "Table {table}"],
  counter: ["카운터", "Counter"],
  close: ["닫기", "Close"],
  losesData: [
    "이 브라우저는 아무것도 저장하지 않습니다. 새로 고치면 다시 로그인해야 하고, 아직 보내지 못한 것은 사라집니다.",
    "This browser stores nothing: after a reload you sign in again, and what was not sent is lost.",
  ],
  session_soon: [
    "로그인이 {minutes}분 뒤에 끝납니다. 새 토큰으로 이어 갈 수 있습니다.",
    "Your sign-in ends in {minutes} minutes. Go on with a new token.",
  ],
  session_last: [
    "로그인이 1분 안에 끝납니다. 새 토큰으로 이어 가 주세요.",
    "Your sign-in ends within a minute. Go on with a new token.",
  ],
  session_ended: [
    "로그인이 끝났습니다. 누른 것은 여기에서 기다렸다가 새 토큰으로 보냅니다.",
    "Your sign-in has ended. What you press waits here and is sent with a new token.",
  ],
  renew: ["다시 로그인", "Sign in again"],
  renewed: ["다시 로그인했습니다.", "You are signed in again."],
  renewTitle: ["새 토큰으로 이어 가기", "Go on with a new token"],
  renewLead: [
    "새 토큰이나 링크를 붙여 넣거나, 링크를 이 브라우저에서 열어 주세요. 화면은 그대로 남습니다.",
    "Paste a new token or a link with one, or open the link in this browser. The page stays as it is.",
  ],
  renewToken: ["토큰 또는 링크", "Token or link"],
  renewLater: ["나중에", "Later"],
  renewOther: [
    "다른 사람이나 다른 매장의 토큰입니다. 그 토큰을 쓰려면 먼저 로그아웃해 주세요.",
    "This token is of somebody else or of another store. Sign out first to use it.",
  ],
  renewUnreachable: [
    "서버에 연결할 수 없어 토큰을 확인하지 못했습니다. 잠시 뒤 다시 시도해 주세요.",
    "The token could not be checked: no connection to the server. Try again in a moment.",
  ],
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
